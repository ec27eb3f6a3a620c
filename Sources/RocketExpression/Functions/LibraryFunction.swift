/// A function of the language: its name, what it takes and gives, what it is for, and how it works, in one place.
package struct LibraryFunction: Sendable {
    package enum Owner: Sendable, Hashable {
        /// Called by its name alone: `len(x)`.
        case global
        /// Called through a name: `Math.abs(x)`.
        case namespace(String)
        /// Called on a value: `'a'.trim()`.
        case text
        case array
        case date
        case pattern
    }

    package enum Parameter: Sendable, Hashable {
        case value(String)
        /// An array, or null for none.
        case list(String)
        /// What a number can be made of.
        case number(String)
        case optional(String)
        /// Any number of values.
        case rest(String)
        /// An arrow function with at most so many parameters.
        case function(String, parameters: Int)
        case optionalFunction(String, parameters: Int)
        /// A value, or an arrow function.
        case valueOrFunction(String, parameters: Int)

        package var name: String {
            switch self {
            case .value(let name), .list(let name), .number(let name), .optional(let name), .rest(let name),
                .function(let name, _), .optionalFunction(let name, _), .valueOrFunction(let name, _):
                name
            }
        }

        var isRequired: Bool {
            switch self {
            case .value, .list, .number, .function, .valueOrFunction: true
            case .optional, .rest, .optionalFunction: false
            }
        }

        var isRest: Bool {
            if case .rest = self { true } else { false }
        }

        /// How many parameters an arrow function may have here; nil where none may stand.
        var functionParameters: Int? {
            switch self {
            case .function(_, let count), .optionalFunction(_, let count), .valueOrFunction(_, let count): count
            case .value, .list, .number, .optional, .rest: nil
            }
        }
    }

    typealias Body =
        @Sendable (ExpressionValue, [Argument], inout Evaluation) throws(EvaluationFailure) -> ExpressionValue

    package let owner: Owner
    package let name: String
    package let parameters: [Parameter]
    package let result: ExpressionType
    /// What it gives, for the reference.
    package let summary: String
    /// An expression that uses it, and the value that it gives, as JSON.
    package let example: (expression: String, result: String)
    let body: Body

    init(
        _ owner: Owner,
        _ name: String,
        _ parameters: [Parameter] = [],
        _ result: ExpressionType,
        _ summary: String,
        _ example: (String, String),
        _ body: @escaping Body
    ) {
        self.owner = owner
        self.name = name
        self.parameters = parameters
        self.result = result
        self.summary = summary
        self.example = example
        self.body = body
    }

    /// The function as the reference writes it: `slice(start, end?)`.
    package var signature: String {
        let list = parameters.map { parameter in
            switch parameter {
            case .value(let name), .list(let name), .number(let name), .function(let name, _),
                .valueOrFunction(let name, _):
                name
            case .optional(let name), .optionalFunction(let name, _): name + "?"
            case .rest(let name): "…" + name
            }
        }
        return "\(name)(\(list.joined(separator: ", ")))"
    }
}

/// What a function is called with.
enum Argument: Sendable {
    case value(ExpressionValue)
    case function(CompiledFunction)

    var value: ExpressionValue {
        if case .value(let value) = self { value } else { .undefined }
    }
}

/// An arrow function.
struct CompiledFunction: Sendable {
    /// Where its parameters are put.
    let slots: [Int]
    let body: Program.Step

    func call(_ run: inout Evaluation, _ first: ExpressionValue) throws(EvaluationFailure) -> ExpressionValue {
        try run.spend(1)
        if let slot = slots.first { run.parameters[slot] = first }
        return try body(&run)
    }

    func call(_ run: inout Evaluation, _ arguments: [ExpressionValue]) throws(EvaluationFailure) -> ExpressionValue {
        try run.spend(1)
        for (index, slot) in slots.enumerated() {
            run.parameters[slot] = index < arguments.count ? arguments[index] : .undefined
        }
        return try body(&run)
    }
}

extension [Argument] {
    /// The value at a place; undefined where there is none.
    func value(_ index: Int) -> ExpressionValue { index < count ? self[index].value : .undefined }

    func function(_ index: Int) -> CompiledFunction? {
        if index < count, case .function(let function) = self[index] { function } else { nil }
    }
}
