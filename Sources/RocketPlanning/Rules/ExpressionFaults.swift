import RocketExpression

/// What rules, guards, conditions and computed fields could not evaluate.
package enum ExpressionFaults {
    /// Since the process began.
    package static var count: UInt64 { FaultCount.value }
}
