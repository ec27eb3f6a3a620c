import Foundation

/// Places at which a server ends or loses an answer on purpose, so that a test finds out what others make of it. The
/// program takes them from a variable of its environment that no configuration has, and refuses them in production.
package struct FaultPoints: Sendable {
    package enum Point: String, CaseIterable, Sendable {
        /// A commit holds, and nobody has been told.
        case afterCommit = "after-commit"
        /// The answer is made, and not a byte of it is sent.
        case beforeAnswer = "before-answer"
        /// A call of a step or a delivery is made, and not noted.
        case afterStepEffect = "after-step-effect"
        /// The server goes on, and the connection ends without the answer.
        case answerLost = "answer-lost"
    }

    private let rates: [Point: Double]
    private let chance: @Sendable () -> Double
    private let end: @Sendable () -> Void

    package static let none = FaultPoints(rates: [:])

    /// - Parameters:
    ///   - rates: how often of one time, for each point.
    ///   - end: what happens at the points that end the process.
    package init(
        rates: [Point: Double],
        chance: @escaping @Sendable () -> Double = { .random(in: 0..<1) },
        end: @escaping @Sendable () -> Void = { kill(getpid(), SIGKILL) }
    ) {
        self.rates = rates
        self.chance = chance
        self.end = end
    }

    /// Reads `after-commit=0.01,answer-lost=0.5`.
    ///
    /// - Throws: ``FaultPointsError``.
    package init(_ text: String) throws(FaultPointsError) {
        var rates: [Point: Double] = [:]
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1)
            guard let point = sides.first.flatMap({ Point(rawValue: String($0)) }) else {
                throw FaultPointsError(part: String(part))
            }
            guard sides.count == 2, let rate = Double(sides[1]), rate > 0, rate <= 1 else {
                throw FaultPointsError(part: String(part))
            }
            rates[point] = rate
        }
        guard !rates.isEmpty else { throw FaultPointsError(part: text) }
        self.init(rates: rates)
    }

    /// Whether anything is to go wrong here at all.
    package func has(_ point: Point) -> Bool { rates[point] != nil }

    /// Ends the process, now and then.
    package func pass(_ point: Point) {
        if draws(point) { end() }
    }

    /// Whether the fault happens this time.
    package func draws(_ point: Point) -> Bool {
        guard let rate = rates[point] else { return false }
        return chance() < rate
    }
}

/// What is no list of fault points.
package struct FaultPointsError: Error, CustomStringConvertible {
    let part: String

    package var description: String {
        let names = FaultPoints.Point.allCases.map(\.rawValue).joined(separator: ", ")
        return
            "expected a point (\(names)), = and a rate above 0 and up to 1, with commas between them, got \"\(part)\""
    }
}
