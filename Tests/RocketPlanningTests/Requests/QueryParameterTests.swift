import RocketModel
import RocketPlanning
import Testing

struct QueryParameterTests {
    private let known = ["sort", "page", "fields"]

    @Test func givesTheValuesOfKnownParameters() throws {
        let values = try QueryString("page=2&sort=-a%2Cb").values(of: known)
        #expect(values == ["page": "2", "sort": "-a,b"])
        #expect(try QueryString("").values(of: known) == [:])
        #expect(try QueryString.empty.values(of: []) == [:])
    }

    @Test func refusesAParameterThatIsNotKnownAndNamesTheOneThatWasMeant() {
        let refused = failure { try QueryString("page=1&sotr=a").values(of: known) }
        #expect(refused?.code == .invalidParameter)
        #expect(refused?.message == "There is no parameter \"sotr\" here; did you mean \"sort\"?")
        #expect(details(refused) == ["sotr unknown"])
    }

    @Test(arguments: ["page=1&page=1", "page=1&sort=a&page=2", "page=&page", "%70age=1&page=1"])
    func refusesAParameterThatIsGivenTwice(text: String) {
        let refused = failure { try QueryString(text).values(of: known) }
        #expect(refused?.code == .invalidParameter)
        #expect(refused?.message == "The parameter \"page\" is given twice")
        #expect(refused?.details.map(\.field) == ["page"])
    }

    @Test(arguments: ["=1", "Page=1", "page%20=1", "page%00=1", "+page=1"])
    func comparesNamesByTheirBytes(text: String) {
        #expect(failure { try QueryString(text).values(of: known) }?.code == .invalidParameter)
    }

    @Test func takes200ParametersAndNoMore() throws {
        let all = (0..<200).map { "p\($0)=1" }.joined(separator: "&")
        #expect(try QueryString(all).parameters.count == 200)
        #expect(failure { try QueryString(all + "&last=1") }?.message.contains("at most 200") == true)
    }

    @Test func showsTheParameterWithTheBrokenEscape() {
        let refused = failure { try QueryString("a=1&b=%zz") }
        #expect(refused?.message.hasSuffix("b=%zz") == true)
    }

    @Test func aPlusIsASpaceInAQueryOnly() {
        #expect(percentDecoded(Substring("a+b%2B").utf8, plusIsSpace: true) == "a b+")
        #expect(percentDecoded(Substring("a+b%2B").utf8) == "a+b+")
    }

    @Test(arguments: ["%", "%4", "%4g", "%g4", "%%41", "%C3", "%C3%28", "%ED%A0%80", "%FF", "%C0%AF", "a%"])
    func refusesBrokenEscapesAndBytesThatAreNotUTF8(text: String) {
        #expect(percentDecoded(Substring(text).utf8) == nil)
    }

    @Test(arguments: [
        ("%41%62", "Ab"), ("%e2%82%ac", "€"), ("%E2%82%AC", "€"), ("%2541", "%41"), ("%00", "\u{0}"), ("é", "é"),
    ])
    func decodesEscapesInEitherCaseOnce(text: String, decoded: String) {
        #expect(percentDecoded(Substring(text).utf8) == decoded)
    }
}
