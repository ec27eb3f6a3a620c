import RocketExpression
package import RocketModel

/// A rule that is tried on a record before it is saved.
package struct RuleTrial: Sendable {
    private let rule: RuleDefinition
    private let entity: EntityModel
    private let logic: EntityLogic
    private let rows: [PlannedRow]
    private var run: RuleRun

    /// Reads `{"entity", "type", "definition", "record", "old"?, "user"?, "hook"?}`.
    ///
    /// - Throws: 422 with everything that is wrong with the rule or the records.
    package init(_ payload: JSONObject, _ access: Access, now: Timestamp) throws(RequestFailure) {
        var reader = DefinitionReader(payload)
        let snapshot = access.snapshot
        let rule = RuleDefinition.readTrial(&reader, snapshot.definitions.fieldNames)
        if payload["record"] ?? .null == .null {
            reader.violate("record", .required, "is required")
        }
        let (record, old) = (reader.object("record"), reader.object("old"))
        let principal = Self.principal(&reader, access.principal)
        reader.refuseUnknownMembers()
        guard let entity = snapshot.model(rule.entity), reader.violations.isEmpty else {
            throw .validation(reader.violations)
        }
        let (logic, violations) = snapshot.trial(of: rule)
        reader.include(violations)
        let new = Self.values(record ?? JSONObject(), of: entity, "record", &reader)
        let before = old.map { Self.values($0, of: entity, "old", &reader) }
        guard let logic, reader.violations.isEmpty else { throw .validation(reader.violations) }
        self.rule = rule
        self.entity = entity
        self.logic = logic
        rows = [Self.row(new, before, of: entity, isDeletion: rule.hook == .beforeDelete)]
        let caller = Access(principal, to: snapshot, at: now)
        run = RuleRun(caller, now: now)
        run.related = RelatedRecords(snapshot, of: rows, isWritten: false) { logic.loads(for: $0) }
    }

    private static func principal(_ reader: inout DefinitionReader, _ caller: Principal) -> Principal {
        guard let user = reader.object("user") else { return caller }
        var inner = DefinitionReader(user, path: "user")
        let principal = Principal(
            userID: inner.string("id") ?? "",
            email: inner.string("email") ?? "",
            roles: inner.strings("roles") ?? []
        )
        inner.refuseUnknownMembers()
        reader.include(inner.violations)
        return principal
    }

    private static func values(
        _ object: JSONObject,
        of entity: EntityModel,
        _ path: String,
        _ reader: inout DefinitionReader
    ) -> [Int: FieldValue] {
        var values: [Int: FieldValue] = [:]
        for member in object.members {
            guard let index = entity.index(of: member.name) else {
                let hint = suggestion(for: member.name, among: entity.fieldNames)
                reader.violate(
                    "\(path).\(member.name)",
                    .unknown,
                    "\"\(entity.name)\" has no field \"\(member.name)\"\(hint)"
                )
                continue
            }
            do throws(CoercionFailure) {
                values[index] = try entity.fields[index].shape.value(of: member.value)
            } catch {
                reader.violate("\(path).\(member.name)", .type, error.message)
            }
        }
        return values
    }

    private static func row(
        _ record: [Int: FieldValue],
        _ old: [Int: FieldValue]?,
        of entity: EntityModel,
        isDeletion: Bool
    ) -> PlannedRow {
        func stored(_ values: [Int: FieldValue]) -> [SQLValue] {
            entity.fields.indices.map { entity.dialect.bindable(values[$0] ?? .null) }
        }
        var values: [Int: FieldValue] = [:]
        for index in entity.fields.indices where index != entity.keyIndex { values[index] = record[index] ?? .null }
        return PlannedRow(
            entity: entity,
            action: isDeletion ? .delete : old == nil ? .create : .update,
            path: "",
            depth: 0,
            key: record[entity.keyIndex] ?? old?[entity.keyIndex],
            values: isDeletion ? [:] : values,
            stored: isDeletion ? stored(record) : old.map(stored),
            parent: nil,
            relations: []
        )
    }

    /// What must be known of related records; none where the rule looks at none.
    package var statements: [SQLStatement] { run.related.statements }

    package mutating func take(_ results: [StatementResult]) { run.related.take(results) }

    // MARK: what it says

    /// `{"result", "violated", "reads", "error"?}`; the result is as `JSON.stringify` writes it.
    package mutating func outcome() -> JSONObject {
        var outcome = JSONObject()
        if let computation = logic.computations.first {
            compute(computation, &outcome)
        } else if let rule = (logic.writeRules + logic.deleteRules).first {
            switch rule.test {
            case .field(let field, let test):
                let value = rows[0].value(field) ?? .null
                outcome["result"] = value.json
                outcome["violated"] = .boolean(!test.holds(of: value))
                outcome["reads"] = [.string(entity.fields[field].name)]
            case .expression(let program):
                judge(program, &outcome)
            }
        }
        return outcome
    }

    private mutating func judge(_ program: RuleProgram, _ outcome: inout JSONObject) {
        do throws(EvaluationFailure) {
            let value = try evaluate(program)
            outcome["result"] = try shown(value)
            outcome["violated"] = .boolean(value.isTruthy)
            outcome["reads"] = reads(program)
        } catch {
            outcome["result"] = .null
            outcome["violated"] = true
            outcome["reads"] = reads(program)
            outcome["error"] = .string(error.message)
        }
    }

    private mutating func compute(_ computation: Computation, _ outcome: inout JSONObject) {
        let program = computation.program
        var error: String?
        do {
            let value = try evaluate(program)
            outcome["result"] = try shown(value)
            let field = entity.fields[computation.field]
            _ = try field.fitting(try field.shape.value(of: value))
        } catch let failure as EvaluationFailure {
            outcome["result"] = .null
            error = failure.message
        } catch {
            outcome["violated"] = true
            outcome["reads"] = reads(program)
            outcome["error"] = .string((error as? CoercionFailure)?.message ?? "")
            return
        }
        outcome["violated"] = .boolean(error != nil)
        outcome["reads"] = reads(program)
        outcome["error"] = error.map(JSONValue.string)
    }

    private mutating func evaluate(_ program: RuleProgram) throws(EvaluationFailure) -> ExpressionValue {
        try run.value(.expression(program), of: 0, in: rows, logic)
    }

    private func shown(_ value: ExpressionValue) throws(EvaluationFailure) -> JSONValue {
        let text = try value.jsonText()
        do throws(JSONSyntaxError) {
            return try JSONParser.parse(Array(text.utf8), maximumDepth: 512)
        } catch {
            return .null
        }
    }

    /// The fields that the rule reads, in the entity's order.
    private func reads(_ program: RuleProgram) -> JSONValue {
        let reads = ["record", "old", "changes"].map { program.program.reads.members(of: $0) }
        return .array(
            entity.fieldNames.filter { name in reads.contains { $0?.contains(name) ?? true } }.map(JSONValue.string)
        )
    }
}
