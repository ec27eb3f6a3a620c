import Foundation
import RocketDatabase
package import RocketModel
package import RocketPlanning

// An import is a file of definitions and sample rows, taken all or nothing. What is there already with the same
// content is skipped, so that the same file can be sent again.

/// A user that an import makes.
package struct ImportedUser: Sendable {
    package let email: String
    package let password: String
    package let roles: [String]
    package let isActive: Bool
}

package struct DefinitionImport: Sendable {
    let entities: [EntityDefinition]
    let relations: [RelationDefinition]
    let others: [(kind: DefinitionKind, path: String, object: JSONObject)]
    let sampleData: JSONObject
    package let users: [ImportedUser]

    /// - Parameter box: seals the secrets of the file.
    /// - Throws: 422 with every violation of the file's own; what depends on the app is judged by ``change(newID:)``.
    package init(_ payload: JSONObject, _ box: SecretBox) throws {
        var reader = DefinitionReader(Self.document(of: payload))
        if let version = reader.value("version"), version != 1 {
            reader.violate("version", .enum, "this Rocket reads version 1, got \(version.jsonText)")
        }
        _ = reader.value("exported_at")
        var entities: [EntityDefinition] = []
        for (object, path) in reader.objects(DefinitionKind.entities.rawValue) ?? [] {
            let (entity, violations) = EntityDefinition.read(object, path: path)
            entities.append(entity)
            reader.include(violations)
        }
        var relations: [RelationDefinition] = []
        for (object, path) in reader.objects(DefinitionKind.relations.rawValue) ?? [] {
            let (relation, violations) = RelationDefinition.read(object, path: path)
            relations.append(relation)
            reader.include(violations)
        }
        var others: [(kind: DefinitionKind, path: String, object: JSONObject)] = []
        for kind in DefinitionKind.allCases where kind != .entities && kind != .relations {
            for (object, path) in reader.objects(kind.rawValue) ?? [] {
                guard kind == .webhooks else {
                    others.append((kind, path, object))
                    continue
                }
                let given = try WebhookSecret(in: object, at: path, box, mayGenerate: false) { _ in [] }
                others.append((kind, path, given.payload))
            }
        }
        sampleData = reader.object("sample_data") ?? JSONObject()
        users = Self.readUsers(&reader, sampleData)
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw RequestFailure.validation(reader.violations) }
        self.entities = entities
        self.relations = relations
        self.others = others
    }

    /// What the file holds, which may stand in an envelope, as an export is answered.
    package static func document(of payload: JSONObject) -> JSONObject {
        guard payload.names == ["data"], case .object(let inner)? = payload["data"] else { return payload }
        return inner
    }

    private static func readUsers(_ reader: inout DefinitionReader, _ sampleData: JSONObject) -> [ImportedUser] {
        guard let value = sampleData["_users"] else { return [] }
        var inner = DefinitionReader(["_users": value], path: "sample_data")
        var users: [ImportedUser] = []
        for (object, path) in inner.objects("_users") ?? [] {
            var user = DefinitionReader(object, path: path)
            let email = user.requiredString("email")
            let password = user.requiredString("password")
            if let problem = PasswordPolicy.problem(with: password), !password.isEmpty {
                user.violate("password", .type, problem)
            }
            var roles = user.strings("roles") ?? []
            if let role = user.string("role") { roles.append(role) }
            users.append(
                ImportedUser(
                    email: email,
                    password: password,
                    roles: roles,
                    isActive: user.boolean("active", default: true)
                )
            )
            inner.include(user.violations)
        }
        reader.include(inner.violations)
        return users
    }

    // MARK: definitions

    /// The set with everything that it lacks.
    ///
    /// - Throws: 409 naming each definition that is there with other content; 422 for dangling names.
    package func change(newID: @escaping @Sendable () -> UniqueID) -> MetadataWriter.Change {
        { definitions in
            var changed = definitions
            var conflicts: [FailureDetail] = []
            var places: [String: String] = [:]
            for (index, entity) in entities.enumerated() {
                if let existing = definitions.entity(entity.name) {
                    if existing != entity {
                        conflicts.append(.taken("entities[\(index)]", "the entity \"\(entity.name)\""))
                    }
                } else {
                    places["entities[\(changed.entities.count)]"] = "entities[\(index)]"
                    changed.entities.append(entity)
                }
            }
            for (index, relation) in relations.enumerated() {
                if let existing = definitions.relation(relation.name) {
                    if existing.json != relation.json {
                        conflicts.append(.taken("relations[\(index)]", "the relation \"\(relation.name)\""))
                    }
                } else {
                    places["relations[\(changed.relations.count)]"] = "relations[\(index)]"
                    changed.relations.append(relation)
                }
            }
            let violations = try addOthers(to: &changed, &conflicts, &places, newID)
            guard conflicts.isEmpty else {
                throw RequestFailure(
                    .conflict,
                    "Some definitions are there already with other content",
                    details: conflicts
                )
            }
            let structural = SnapshotCompiler.structuralViolations(in: changed).map { $0.moved(places) }
            let broken = structural.isEmpty ? DefinitionChanges.newlyBroken(changed, from: definitions) : []
            let all = violations + structural + broken.flatMap(\.violations).map { $0.moved(places) }
            guard all.isEmpty else { throw RequestFailure.validation(all) }
            return changed
        }
    }

    private func addOthers(
        to changed: inout DefinitionSet,
        _ conflicts: inout [FailureDetail],
        _ places: inout [String: String],
        _ newID: () -> UniqueID
    ) throws -> [FailureDetail] {
        var violations: [FailureDetail] = []
        let fields = changed.fieldNames
        for (kind, path, object) in others {
            let (content, problems) = StoredDefinition.read(object, kind: kind, path: path, fields: fields)
            violations += problems
            guard problems.isEmpty else { continue }
            let definition = StoredDefinition(kind: kind, id: newID().text, content: content)
            let sameKind = changed.others.filter { $0.kind == kind }
            // A secret can't be compared, and an export has none.
            if sameKind.contains(where: { $0.exported == definition.exported }) { continue }
            if let name = definition.name, sameKind.contains(where: { $0.name == name }) {
                conflicts.append(.taken(path, "\"\(name)\""))
                continue
            }
            places["\(kind.rawValue)[\(sameKind.count)]"] = path
            changed.others.append(definition)
        }
        return violations
    }

    /// What the import made, by kind, for the answer.
    package func summary(from old: DefinitionSet, to new: DefinitionSet, records: Int, users: Int) -> JSONObject {
        var summary = JSONObject()
        for kind in DefinitionKind.allCases {
            let count =
                switch kind {
                case .entities: new.entities.count - old.entities.count
                case .relations: new.relations.count - old.relations.count
                default: new.others.filter { $0.kind == kind }.count - old.others.filter { $0.kind == kind }.count
                }
            summary[kind.rawValue] = .integer(count)
        }
        summary["users"] = .integer(users)
        summary["records"] = .integer(records)
        return summary
    }

    /// What the paths of an entity's violations begin with, by its table.
    @Sendable func place(ofTable table: String) -> String {
        entities.firstIndex { $0.table == table }.map { "entities[\($0)]." } ?? ""
    }

    // MARK: rows

    /// The sample rows, to be written in the transaction that writes the definitions.
    ///
    /// - Parameter trail: what keeps entries of the rows; nil for none.
    package func rows(
        now: Timestamp,
        newID: @escaping @Sendable () -> UniqueID,
        counter: RowCounter,
        trail: Trail?
    ) -> SampleRows {
        let data = sampleData.members.filter { $0.name != "_users" }
        return SampleRows(data: JSONObject(uniqueMembers: data), now: now, newID: newID, counter: counter, trail: trail)
    }
}

extension FailureDetail {
    fileprivate static func taken(_ path: String, _ what: String) -> FailureDetail {
        FailureDetail(field: path, message: "\(what) is there already with other content")
    }

    /// The detail with the place in the app's definitions replaced by the place in the file.
    func moved(_ places: [String: String]) -> FailureDetail {
        guard let field, let end = field.firstIndex(of: "]"), let place = places[String(field[...end])] else {
            return self
        }
        return FailureDetail(field: place + field[field.index(after: end)...], rule: rule, message: message)
    }
}
