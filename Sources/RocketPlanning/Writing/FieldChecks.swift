import RocketModel

// The first layer of rules: what each field says of its own value. All violations of a payload come together.

/// A payload with every value in its field's type. Keys that only the engine writes are gone.
struct CheckedPayload: Sendable {
    /// Values by index into the entity's fields; of one that does not fit, null.
    var values: [Int: FieldValue] = [:]
    var violations: [FailureDetail] = []
    /// Fields that the payload gives and the engine does not own.
    var given: Set<Int> = []

    /// The fields whose values do not hold.
    func failed(_ entity: EntityModel) -> Set<Int> {
        violations.isEmpty ? [] : Set(violations.compactMap { $0.field.flatMap(entity.index) })
    }
}

enum FieldChecks {
    /// Reads a payload against the entity.
    ///
    /// - Parameter isCreate: on create absent fields take their defaults and mandatory ones must have a value; on
    ///   update only the keys given are looked at.
    /// - Parameter logic: a state that is absent is the first one, and a field that is computed needs no value yet.
    /// - Parameter filled: fields that the engine fills in later: indexes.
    /// - Parameter files: what file fields may be given.
    static func check(
        _ payload: JSONObject,
        of entity: EntityModel,
        _ logic: EntityLogic?,
        isCreate: Bool,
        filled: Set<Int> = [],
        writer: FieldWriter = .unlimited,
        files: Set<JSONValue>
    ) -> CheckedPayload {
        var checked = CheckedPayload()
        let computed = logic?.computedFields ?? []
        var unknownCount = 0
        for member in payload.members {
            guard let index = entity.index(of: member.name), writer.knows(index) else {
                unknownCount += 1
                if unknownCount <= RequestFailure.maximumDetails {
                    checked.violations.append(unknown(member.name, entity, writer))
                }
                continue
            }
            let field = entity.fields[index]
            if field.isEngineOwned || (field.isPrimaryKey && !isCreate) { continue }
            if !field.isPrimaryKey { checked.given.insert(index) }
            guard field.isPrimaryKey || writer.mayWrite(index) else {
                checked.violations.append(FailureDetail(field: field.name, message: "is not yours to write"))
                continue
            }
            do throws(CoercionFailure) {
                let value = try field.shape.value(of: member.value)
                if field.shape.type == .file { try requireFile(value, among: files) }
                checked.values[index] = value
            } catch {
                checked.violations.append(FailureDetail(field: field.name, rule: .type, message: error.message))
                checked.values[index] = .null
                continue
            }
            let isFilledIn = computed.contains(index)
            checked.violations += violations(of: checked.values[index] ?? .null, in: field, isFilledIn: isFilledIn)
        }
        if isCreate {
            for machine in logic?.machines ?? [] where checked.values[machine.field] == nil {
                checked.values[machine.field] = machine.initial
            }
            for (index, field) in entity.fields.enumerated()
            where checked.values[index] == nil && !field.isEngineOwned && !filled.contains(index) {
                if let fallback = field.defaultValue {
                    checked.values[index] = fallback
                } else if isMandatory(field), !computed.contains(index), !isFilledIn(field, entity, checked, computed) {
                    checked.violations.append(required(field))
                }
            }
        }
        return checked
    }

    static func requireFile(_ value: FieldValue, among files: Set<JSONValue>) throws(CoercionFailure) {
        guard !value.isNull, !files.contains(value.json) else { return }
        throw CoercionFailure("names no uploaded file that you may use here; upload it first")
    }

    private static func violations(
        of value: FieldValue,
        in field: FieldModel,
        isFilledIn: Bool
    ) -> [FailureDetail] {
        if isMandatory(field), value.isNull || value == .text("") { return isFilledIn ? [] : [required(field)] }
        if field.isPrimaryKey, case .text(let key) = value,
            key.utf8.count > maximumKeyBytes || key == "." || key == ".."
        {
            let message =
                "a key has at most \(maximumKeyBytes) bytes and is neither . nor .., so that a path can name it"
            return [FailureDetail(field: field.name, rule: .type, message: message)]
        }
        guard !value.isNull, let allowed = field.allowedValues, !allowed.contains(value) else { return [] }
        let list = allowed.map { $0.json.jsonText }.joined(separator: ", ")
        return [FailureDetail(field: field.name, rule: .enum, message: "\(value.json.jsonText) is none of \(list)")]
    }

    private static let maximumKeyBytes = 255

    private static func isMandatory(_ field: FieldModel) -> Bool {
        field.definition.isMandatory || field.isPrimaryKey
    }

    /// A slug needs no value of its own where the field that it is made from has one.
    private static func isFilledIn(
        _ field: FieldModel,
        _ entity: EntityModel,
        _ checked: CheckedPayload,
        _ computed: Set<Int>
    ) -> Bool {
        guard let slug = entity.definition.slug, slug.field == field.name, let source = slug.source,
            let index = entity.index(of: source)
        else { return false }
        return computed.contains(index)
            || !(checked.values[index] ?? entity.fields[index].defaultValue ?? .null).isNull
    }

    private static func required(_ field: FieldModel) -> FailureDetail {
        FailureDetail(field: field.name, rule: .required, message: "is required")
    }

    private static func unknown(_ name: String, _ entity: EntityModel, _ writer: FieldWriter) -> FailureDetail {
        let known = entity.fields.indices.filter(writer.knows).map { entity.fields[$0].name }
        return FailureDetail(
            field: name,
            rule: .unknown,
            message: "\"\(entity.name)\" has no field \"\(name)\""
                + suggestion(for: name, among: known + entity.relations.filter(\.isSource).map(\.name))
        )
    }
}

/// Which fields a caller may write, and of which it may know.
struct FieldWriter: Sendable {
    /// Nil for all.
    private let writable: Set<Int>?
    private let readable: Set<Int>?

    static let unlimited = FieldWriter(writable: nil, readable: nil)

    private init(writable: Set<Int>?, readable: Set<Int>?) {
        self.writable = writable
        self.readable = readable
    }

    init(_ action: RecordAction, on entity: EntityModel, _ access: Access) {
        guard !access.principal.isAdmin else {
            self = .unlimited
            return
        }
        func granted(_ action: RecordAction) -> Set<Int> {
            guard let grant = access.grantIfAny(action, on: entity) else { return [] }
            return grant.fields(of: entity)?.anywhere ?? Set(entity.fields.indices)
        }
        writable = granted(action)
        readable = granted(.read).union([entity.keyIndex])
    }

    /// The same for a row that is looked at and not written: what may be known of decides, and nothing is refused.
    var looking: FieldWriter {
        guard let writable, let readable else { return .unlimited }
        let known = writable.union(readable)
        return FieldWriter(writable: known, readable: known)
    }

    func mayWrite(_ index: Int) -> Bool { writable?.contains(index) ?? true }

    /// What one may write one may know of, readable or not.
    func knows(_ index: Int) -> Bool {
        guard let readable else { return true }
        return readable.contains(index) || (writable?.contains(index) ?? true)
    }
}
