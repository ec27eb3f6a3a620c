package import RocketModel
import RocketPlanning

// Schema as code: the definitions of a file in the place of those that an app has, whatever these are.

extension DefinitionImport {
    /// The set of the file. What is there already keeps its id, its secret and its place.
    ///
    /// - Throws: 422 with every violation, by its place in the file; 409 for what can't be changed in place.
    package func replacement(_ box: SecretBox, newID: @escaping @Sendable () -> UniqueID) -> MetadataWriter.Change {
        { definitions in
            var wanted = DefinitionSet()
            wanted.entities = Self.merged(definitions.entities, entities, by: \.name)
            wanted.relations = Self.merged(definitions.relations, relations, by: \.name)
            var places = structurePlaces(wanted)
            var violations = repeated() + moved(definitions.entities)
            violations += addOthers(to: &wanted, from: definitions, &places, box, newID)
            violations += SnapshotCompiler.structuralViolations(in: wanted).map { $0.moved(places) }
            if violations.isEmpty {
                violations = SnapshotCompiler.broken(in: wanted).flatMap(\.violations).map { $0.moved(places) }
            }
            guard violations.isEmpty else { throw RequestFailure.validation(violations) }
            return wanted
        }
    }

    /// Where in the file the entities and relations of a set stand.
    private func structurePlaces(_ wanted: DefinitionSet) -> [String: String] {
        var places: [String: String] = [:]
        for (kind, names, given) in [
            ("entities", wanted.entities.map(\.name), entities.map(\.name)),
            ("relations", wanted.relations.map(\.name), relations.map(\.name)),
        ] {
            for (index, name) in names.enumerated() {
                places["\(kind)[\(index)]"] = "\(kind)[\(given.firstIndex(of: name) ?? index)]"
            }
        }
        return places
    }

    /// - Returns: what is wrong with the shape of those of the file.
    private func addOthers(
        to wanted: inout DefinitionSet,
        from definitions: DefinitionSet,
        _ places: inout [String: String],
        _ box: SecretBox,
        _ newID: () -> UniqueID
    ) -> [FailureDetail] {
        var violations: [FailureDetail] = []
        let fields = wanted.fieldNames
        for kind in DefinitionKind.allCases where kind != .entities && kind != .relations {
            var matching = DefinitionMatching(definitions.others.filter { $0.kind == kind }, box)
            for (_, path, object) in others.filter({ $0.kind == kind }) {
                let (content, problems) = StoredDefinition.read(object, kind: kind, path: path, fields: fields)
                violations += problems
                if problems.isEmpty { matching.add(content, at: path) }
            }
            for (index, (definition, path)) in matching.definitions(kind, newID).enumerated() {
                places["\(kind.rawValue)[\(index)]"] = path
                wanted.others.append(definition)
            }
        }
        // In the order in which they are stored, which is that of all kinds together.
        wanted.others = Self.merged(definitions.others, wanted.others, by: \.id)
        return violations
    }

    /// The new items, those that were there before in their old order.
    private static func merged<Item>(_ old: [Item], _ new: [Item], by name: (Item) -> String) -> [Item] {
        let known = Set(old.map(name))
        return old.compactMap { item in new.first { name($0) == name(item) } }
            + new.filter { !known.contains(name($0)) }
    }

    private func repeated() -> [FailureDetail] {
        var violations: [FailureDetail] = []
        for (kind, names) in [("entities", entities.map(\.name)), ("relations", relations.map(\.name))] {
            for (index, name) in names.enumerated() where names[..<index].contains(name) {
                violations.append(
                    FailureDetail(
                        field: "\(kind)[\(index)].name",
                        rule: .unknown,
                        message: "\"\(name)\" is given twice"
                    )
                )
            }
        }
        return violations
    }

    /// What would leave an entity's rows behind.
    private func moved(_ old: [EntityDefinition]) -> [FailureDetail] {
        entities.enumerated().flatMap { index, entity -> [FailureDetail] in
            guard let known = old.first(where: { $0.name == entity.name }) else { return [] }
            var violations: [FailureDetail] = []
            if known.table != entity.table {
                let message = "the table of an entity can't change; it is \"\(known.table)\""
                violations.append(FailureDetail(field: "entities[\(index)].table", rule: .type, message: message))
            }
            if known.primaryKey != entity.primaryKey {
                let message = "the key of an entity can't change"
                violations.append(FailureDetail(field: "entities[\(index)].primary_key", rule: .type, message: message))
            }
            return violations
        }
    }

    /// Whether the file has rows or users, which are no definitions.
    package var hasSampleData: Bool { !sampleData.isEmpty }
}

/// Which of the definitions that have no names are the same as some that are there: those that say the same; of the
/// others, those that are about the same thing, in their order.
private struct DefinitionMatching {
    private var left: [StoredDefinition]
    private let order: [String]
    private let box: SecretBox
    private var taken: [(definition: StoredDefinition, path: String)] = []
    private var fresh: [(content: JSONObject, path: String)] = []

    init(_ old: [StoredDefinition], _ box: SecretBox) {
        left = old
        order = old.map(\.id)
        self.box = box
    }

    mutating func add(_ content: JSONObject, at path: String) {
        let plain = StoredDefinition.withoutSecret(content)
        guard let index = left.firstIndex(where: { $0.exported == plain }) else {
            fresh.append((content, path))
            return
        }
        take(index, content, path)
    }

    private mutating func take(_ index: Int, _ content: JSONObject, _ path: String) {
        let old = left.remove(at: index)
        var content = content
        // A secret that is not given, or is the same, stays as it is.
        let (given, known) = (content["secret"]?.stringValue, old.content["secret"]?.stringValue)
        if let known, given == nil || given.map(box.open) == box.open(known) { content["secret"] = .string(known) }
        // In the order in which its members are stored.
        if content == old.content { content = old.content }
        taken.append((StoredDefinition(kind: old.kind, id: old.id, content: content), path))
    }

    /// Those that were there in their old order, then the new ones.
    mutating func definitions(
        _ kind: DefinitionKind,
        _ newID: () -> UniqueID
    ) -> [(StoredDefinition, String)] {
        var made: [(StoredDefinition, String)] = []
        for (content, path) in fresh {
            let title = StoredDefinition(kind: kind, id: "", content: content).matter
            if let index = left.firstIndex(where: { $0.matter == title }) {
                take(index, content, path)
            } else {
                made.append((StoredDefinition(kind: kind, id: newID().text, content: content), path))
            }
        }
        let old = taken.sorted {
            (order.firstIndex(of: $0.definition.id) ?? 0) < (order.firstIndex(of: $1.definition.id) ?? 0)
        }
        return old.map { ($0.definition, $0.path) } + made
    }
}

extension StoredDefinition {
    fileprivate static func withoutSecret(_ content: JSONObject) -> JSONObject {
        JSONObject(uniqueMembers: content.members.filter { $0.name != "secret" })
    }

    /// What it is about: two with the same are versions of one.
    fileprivate var matter: String {
        switch kind {
        case .rules:
            [entity, content["type"]?.stringValue, content["definition"]?.objectValue?["field"]?.stringValue]
                .compactMap(\.self).joined(separator: " ")
        case .entities, .relations, .stateMachines, .workflows, .permissions, .webhooks: title
        }
    }
}
