package import RocketModel

/// What is odd about state machines, and no mistake: states that nothing leads to, ways that nothing takes.
package enum StateReachability {
    /// - Returns: a sentence for each machine that is new or changed and has such states.
    package static func warnings(from old: DefinitionSet, to new: DefinitionSet) -> [String] {
        let before = Set(old.others.filter { $0.kind == .stateMachines })
        return new.others.flatMap { definition -> [String] in
            guard definition.kind == .stateMachines, !before.contains(definition) else { return [] }
            let machine = StateMachineDefinition(stored: definition.content)
            let name = "the state machine of \(machine.entity).\(machine.field)"
            let lost = unreachable(machine, new).map { "\"\($0)\"" }.joined(separator: ", ")
            var warnings = lost.isEmpty ? [] : ["\(name) never leads from \"\(machine.initial)\" to \(lost)"]
            for transition in machine.transitions where transition.from == [transition.to] {
                warnings.append("\(name): a state that stays \"\(transition.to)\" is no transition, and does nothing")
            }
            return warnings
        }
    }

    /// The states that the machine or the field's enum names and that nothing leads to, in their order.
    static func unreachable(_ machine: StateMachineDefinition, _ definitions: DefinitionSet) -> [String] {
        var reached: Set = [machine.initial]
        var isGrowing = true
        while isGrowing {
            isGrowing = false
            for transition in machine.transitions
            where transition.from.contains(where: { $0 == StateMachineDefinition.anyState || reached.contains($0) }) {
                if reached.insert(transition.to).inserted { isGrowing = true }
            }
        }
        let field = definitions.entities.first { $0.name == machine.entity }?.fields.first { $0.name == machine.field }
        let named =
            machine.transitions.flatMap { $0.from + [$0.to] } + (field?.allowedValues ?? []).compactMap(\.stringValue)
        var lost: [String] = []
        for state in named where state != StateMachineDefinition.anyState && !reached.contains(state) {
            if !lost.contains(state) { lost.append(state) }
        }
        return lost
    }
}
