/// A field of an entity, as metadata describes it.
package struct FieldDefinition: Sendable, Hashable {
    /// When the engine sets a field by itself.
    package enum Auto: String, Sendable, CaseIterable {
        case create
        case update
    }

    package let name: String
    package let type: FieldType
    package let required: Bool
    package let unique: Bool
    package let nullable: Bool
    /// What an absent field gets on create.
    package let defaultValue: JSONValue?
    package let allowedValues: [JSONValue]?
    /// Fraction digits of a decimal; nil for as many as come.
    package let precision: Int?
    package let auto: Auto?

    /// Digits before the point of a decimal with a precision, as `NUMERIC(18+p,p)` has them.
    package static let decimalIntegerDigits = 18

    package init(
        name: String,
        type: FieldType,
        required: Bool = false,
        unique: Bool = false,
        nullable: Bool = false,
        defaultValue: JSONValue? = nil,
        allowedValues: [JSONValue]? = nil,
        precision: Int? = nil,
        auto: Auto? = nil
    ) {
        self.name = name
        self.type = type
        self.required = required
        self.unique = unique
        self.nullable = nullable
        self.defaultValue = defaultValue
        self.allowedValues = allowedValues
        self.precision = precision
        self.auto = auto
    }

    package var shape: ValueShape { ValueShape(type: type, precision: precision) }

    /// Whether every row must have a value.
    package var isMandatory: Bool { required && !nullable }

    /// Field names that stand for something else inside one of the databases.
    static let reservedNames: Set<String> = [
        "ctid", "cmin", "cmax", "xmin", "xmax", "tableoid", "rowid", "oid",
    ]

    package static func read(_ object: JSONObject, path: String) -> (
        field: FieldDefinition, violations: [FailureDetail]
    ) {
        var reader = DefinitionReader(object, path: path)
        let name = reader.requiredName("name")
        if reservedNames.contains(name) {
            reader.violate("name", .type, "\"\(name)\" is a column of the database's own")
        }
        let type = readType(&reader)
        let field = FieldDefinition(
            name: name,
            type: type ?? .json,
            required: reader.boolean("required", default: false),
            unique: reader.boolean("unique", default: false),
            nullable: reader.boolean("nullable", default: false),
            defaultValue: reader.value("default"),
            allowedValues: reader.array("enum"),
            precision: reader.whole("precision", in: 0...100),
            auto: reader.word("auto", as: Auto.self)
        )
        // What else is said of a type that nobody knows can't be judged.
        if type != nil { field.checkAgainstType(&reader) }
        reader.refuseUnknownMembers()
        return (field, reader.violations)
    }

    private static func readType(_ reader: inout DefinitionReader) -> FieldType? {
        let name = reader.requiredString("type")
        if let type = FieldType(name: name) { return type }
        guard !name.isEmpty else { return nil }
        let names = FieldType.allCases.map(\.rawValue)
        reader.violate(
            "type",
            .enum,
            "\"\(name)\" is none of \(names.joined(separator: ", "))" + suggestion(for: name, among: names)
        )
        return nil
    }

    private func checkAgainstType(_ reader: inout DefinitionReader) {
        if precision != nil, type != .decimal { reader.violate("precision", .type, "only a decimal has a precision") }
        if let allowedValues {
            reader.include(Self.violations(ofEnum: allowedValues, shape, reader.path(to: "enum")))
        }
        if let defaultValue {
            if type == .file {
                reader.violate("default", .type, "a file field has no default: files are uploaded")
            } else if let problem = shape.problem(with: defaultValue) {
                reader.violate("default", .type, problem)
            } else if let allowedValues, !allowedValues.contains(where: { shape.areEqual($0, defaultValue) }) {
                reader.violate("default", .enum, "\(defaultValue.jsonText) is not in \"enum\"")
            }
        }
        if auto != nil, type != .timestamp, type != .date {
            reader.violate("auto", .type, "only a timestamp or a date can be set by the engine")
        }
        if unique, !type.isComparable { reader.violate("unique", .type, "a \(type.rawValue) field can't be unique") }
    }

    private static func violations(ofEnum values: [JSONValue], _ shape: ValueShape, _ path: String) -> [FailureDetail] {
        var violations: [FailureDetail] = []
        if values.isEmpty {
            violations.append(FailureDetail(field: path, rule: .enum, message: "a list without values allows nothing"))
        }
        if !shape.type.isComparable {
            violations.append(
                FailureDetail(field: path, rule: .type, message: "a \(shape.type.rawValue) field can't have an enum")
            )
            return violations
        }
        for (index, value) in values.enumerated() {
            if let problem = value == .null ? "null is no value" : shape.problem(with: value) {
                violations.append(FailureDetail(field: "\(path)[\(index)]", rule: .type, message: problem))
            }
        }
        return violations
    }

    /// The definition with its defaults filled in, as it is stored and answered.
    package var json: JSONValue {
        var object: JSONObject = [
            "name": .string(name), "type": .string(type.rawValue), "required": .boolean(required),
            "unique": .boolean(unique), "nullable": .boolean(nullable),
        ]
        object["default"] = defaultValue
        object["enum"] = allowedValues.map(JSONValue.array)
        object["precision"] = precision.map { .integer($0) }
        object["auto"] = auto.map { .string($0.rawValue) }
        return .object(object)
    }
}

extension ValueShape {
    fileprivate func problem(with json: JSONValue) -> String? {
        do throws(CoercionFailure) {
            _ = try value(of: json)
            return nil
        } catch {
            return error.message
        }
    }

    fileprivate func areEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        do throws(CoercionFailure) { return try value(of: left) == value(of: right) } catch { return false }
    }
}
