import Testing

@testable import RocketDatabase

struct PreparedStatementsTests {
    @Test func eachTextHasANameOfItsOwn() {
        var statements = PreparedStatements()
        let names = (1...100).map { statements.use("SELECT \($0)").name }
        #expect(Set(names).count == 100)
    }

    @Test func aTextIsKnownTheSecondTime() {
        var statements = PreparedStatements()
        let first = statements.use("SELECT 1")
        statements.beginBatch()
        let second = statements.use("SELECT 1")
        #expect(!first.isKnown)
        #expect(
            second == PreparedStatements.Preparation(name: first.name, isKnown: true, isFromEarlier: true, evicted: nil)
        )
    }

    @Test func whatWasNotUsedLongestGivesWayAtTheBound() {
        var statements = PreparedStatements(capacity: 2)
        let first = statements.use("SELECT 1")
        statements.beginBatch()
        let second = statements.use("SELECT 2")
        _ = statements.use("SELECT 1")
        statements.beginBatch()
        let third = statements.use("SELECT 3")
        #expect(third.evicted == second.name)
        statements.beginBatch()
        let firstAgain = statements.use("SELECT 1")
        #expect(
            firstAgain
                == PreparedStatements.Preparation(name: first.name, isKnown: true, isFromEarlier: true, evicted: nil)
        )
    }

    @Test func whatGaveWayIsPreparedAnewUnderAnotherName() {
        var statements = PreparedStatements(capacity: 1)
        let first = statements.use("SELECT 1")
        statements.beginBatch()
        let second = statements.use("SELECT 2")
        statements.beginBatch()
        let firstAgain = statements.use("SELECT 1")
        #expect(!firstAgain.isKnown)
        #expect(firstAgain.evicted == second.name)
        #expect(Set([first.name, second.name, firstAgain.name]).count == 3)
    }

    @Test func whatIsRetiredIsPreparedAnewAndForgottenByTheServerOnce() {
        var statements = PreparedStatements()
        let before = statements.use("SELECT 1")
        statements.beginBatch()
        #expect(statements.use("SELECT 1").isFromEarlier)
        statements.retire("SELECT 1")
        let after = statements.use("SELECT 1")
        #expect(!after.isKnown && after.name != before.name)
        #expect(statements.takeRetired() == [before.name])
        #expect(statements.takeRetired().isEmpty)
        statements.forget("SELECT 1")
        #expect(statements.takeRetired().isEmpty)
    }

    @Test func aBatchThatIsLargerThanTheBoundKeepsItsOwn() {
        var statements = PreparedStatements(capacity: 3)
        statements.beginBatch()
        let names = (1...10).map { statements.use("SELECT \($0)") }
        #expect(names.allSatisfy { $0.evicted == nil })
        statements.beginBatch()
        #expect(statements.use("SELECT 11").evicted == names[0].name)
    }

    @Test func nothingGivesWayBelowTheBound() {
        var statements = PreparedStatements(capacity: 250)
        let preparations = (1...250).map { statements.use("SELECT \($0)") }
        let evicted = preparations.compactMap(\.evicted)
        #expect(evicted.isEmpty)
        statements.beginBatch()
        let oneMore = statements.use("SELECT 251")
        #expect(oneMore.evicted == preparations[0].name)
    }

    @Test func aForgottenTextIsPreparedAnewUnderAnotherName() {
        var statements = PreparedStatements()
        let before = statements.use("SELECT 1")
        statements.forget("SELECT 1")
        let after = statements.use("SELECT 1")
        #expect(!after.isKnown)
        #expect(after.name != before.name)
    }

    @Test func aForgottenTextMakesRoom() {
        var statements = PreparedStatements(capacity: 1)
        _ = statements.use("SELECT 1")
        statements.forget("SELECT 1")
        let next = statements.use("SELECT 2")
        #expect(next.evicted == nil)
    }

    @Test func forgettingWhatWasNeverUsedChangesNothing() {
        var statements = PreparedStatements()
        _ = statements.use("SELECT 1")
        statements.forget("SELECT 2")
        let again = statements.use("SELECT 1")
        #expect(again.isKnown)
    }
}
