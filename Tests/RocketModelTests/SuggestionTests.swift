import RocketModel
import Testing

private let names = ["status", "title", "description", "customer_id", "created_at", "id"]

struct SuggestionTests {
    @Test(arguments: [
        ("statsu", "status"), ("sttus", "status"), ("statuss", "status"), ("stetus", "status"), ("STATUS", "status"),
        ("Title", "title"),
        ("tilte", "title"), ("discription", "description"), ("customerid", "customer_id"),
        ("create_at", "created_at"), ("ids", "id"), ("di", "id"),
    ])
    func namesTheKnownNameThatWasMeant(wrong: String, meant: String) {
        #expect(nearestName(to: wrong, among: names) == meant)
        #expect(suggestion(for: wrong, among: names) == "; did you mean \"\(meant)\"?")
    }

    @Test(arguments: ["priority", "xyz", "tiitllee", "customer", "stat", "", "\u{1F600}"])
    func namesNothingWhereNoNameIsClose(wrong: String) {
        #expect(nearestName(to: wrong, among: names) == nil)
        #expect(suggestion(for: wrong, among: names) == "")
    }

    @Test func namesNothingWhereNothingIsKnown() {
        #expect(suggestion(for: "status", among: [String]()) == "")
    }

    @Test func prefersTheNearestAndThenTheFirstByName() {
        #expect(nearestName(to: "bat", among: ["cat", "bats", "bar"]) == "bar")
        #expect(nearestName(to: "colour", among: ["colon", "colours", "colours_id"]) == "colours")
    }

    @Test func isQuickForLongNames() {
        let long = String(repeating: "status", count: 20_000)
        #expect(nearestName(to: long, among: names) == nil)
    }
}
