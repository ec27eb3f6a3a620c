import RocketPlanning

/// Writers that share a commit. Each runs in its own savepoint; one that fails rolls back alone; one sync of the
/// disk acknowledges the others.
enum WriteBatch {
    /// - Returns: those that call outside, which nobody may wait for: nothing of them has happened yet.
    static func run(_ turns: [any Turn], _ access: borrowing SQLiteAccess) -> [any Turn] {
        if turns.count == 1 { runAlone(turns[0], access) } else { runTogether(turns, access) }
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

    private static func runTogether(_ turns: [any Turn], _ access: borrowing SQLiteAccess) -> [any Turn] {
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
