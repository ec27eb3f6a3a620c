import RocketPlanning

/// Writers that share a commit; one that fails rolls back alone, and one sync of the disk acknowledges the others.
///
/// A savepoint for each makes SQLite keep a copy of every page that it touches, and most writes hold. So they run without
/// at first; where one fails all are rolled back and run again, each in a savepoint of its own, and so are the next
/// batches: what fails now often fails again.
struct WriteBatch {
    /// How many batches have savepoints after one that needed them.
    private static let carefulBatches = 16

    private var carefulLeft = 0

    /// - Returns: those that call outside, which nobody may wait for: nothing of them has happened yet.
    mutating func run(_ turns: [any Turn], _ access: borrowing SQLiteAccess) -> [any Turn] {
        if turns.count == 1 { return Self.runAlone(turns[0], access) }
        if carefulLeft > 0 {
            carefulLeft -= 1
        } else if Self.runInOneGo(turns, access) {
            return []
        } else {
            carefulLeft = Self.carefulBatches
        }
        return Self.runApart(turns, access)
    }

    private static func runAlone(_ turn: any Turn, _ access: borrowing SQLiteAccess) -> [any Turn] {
        do {
            try access.execute("BEGIN IMMEDIATE")
            if turn.mode == .alone { try access.execute("PRAGMA defer_foreign_keys = ON") }
            guard try turn.advanceWriting(access) == nil else {
                access.rollBack()
                turn.startOver()
                return [turn]
            }
            try access.execute("COMMIT")
        } catch {
            access.rollBack()
            turn.fail(with: error)
            return []
        }
        turn.succeed()
        return []
    }

    /// - Returns: false where nothing has happened, for one of them fails by itself or calls outside.
    private static func runInOneGo(_ turns: [any Turn], _ access: borrowing SQLiteAccess) -> Bool {
        do {
            try access.execute("BEGIN IMMEDIATE")
            guard try allHold(turns, access) else {
                access.rollBack()
                for turn in turns { turn.startOver() }
                return false
            }
            try access.execute("COMMIT")
        } catch {
            access.rollBack()
            for turn in turns { turn.fail(with: error) }
            return true
        }
        for turn in turns { turn.succeed() }
        return true
    }

    /// - Throws: what ended the transaction for all: a full disk, an I/O error.
    private static func allHold(_ turns: [any Turn], _ access: borrowing SQLiteAccess) throws -> Bool {
        do {
            return try turns.allSatisfy { try $0.advanceWriting(access) == nil }
        } catch {
            guard access.isInTransaction else { throw error }
            return false
        }
    }

    private static func runApart(_ turns: [any Turn], _ access: borrowing SQLiteAccess) -> [any Turn] {
        var held: [any Turn] = []
        var callers: [any Turn] = []
        var failed: [(turn: any Turn, error: any Error)] = []
        do {
            try access.execute("BEGIN IMMEDIATE")
            for turn in turns {
                try access.execute("SAVEPOINT turn")
                do {
                    if try turn.advanceWriting(access) == nil {
                        held.append(turn)
                    } else {
                        try access.execute("ROLLBACK TO turn")
                        turn.startOver()
                        callers.append(turn)
                    }
                } catch {
                    // A full disk or an I/O error ends the whole transaction: nobody's write holds.
                    guard access.isInTransaction else { throw error }
                    try access.execute("ROLLBACK TO turn")
                    failed.append((turn, error))
                }
                try access.execute("RELEASE turn")
            }
            try access.execute("COMMIT")
        } catch {
            access.rollBack()
            let answered = Set(failed.map { ObjectIdentifier($0.turn as AnyObject) })
            for (turn, error) in failed { turn.fail(with: error) }
            for turn in turns where !answered.contains(ObjectIdentifier(turn as AnyObject)) { turn.fail(with: error) }
            return []
        }
        for turn in held { turn.succeed() }
        for (turn, error) in failed { turn.fail(with: error) }
        return callers
    }
}
