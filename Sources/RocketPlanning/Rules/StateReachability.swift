package import RocketModel

/// What is odd about state machines, and no mistake: states that nothing leads to.
package enum StateReachability {
    /// - Returns: a sentence for each machine that is new or changed and has such states.
    package static func warnings(from old: DefinitionSet, to new: DefinitionSet) -> [String] {
        let before = Set(old.others.filter { $0.kind == .stateMachines })
        return new.others.compactMap { definition in
            guard definition.kind == .stateMachines, !before.contains(definition) else { return nil }
            let machine = StateMachineDefinition(stored: definition.content)
            let lost = unreachable(machine, new)
            guard !lost.isEmpty else { return nil }
            let list = lost.map { "\"\($0)\"" }.joined(separator: ", ")
            return "the state machine of \(machine.entity).\(machine.field) never leads from"
                + " \"\(machine.initial)\" to \(list)"
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
