import RocketModel

/// Checks a tree against its environment and makes a program of it. What can't be right is a problem now, not when
/// the program runs.
struct Compiler {
    /// A parameter of an arrow function that is open.
    private struct Local {
        let name: String
        let slot: Int
        let type: ExpressionType
    }

    private let environment: ExpressionEnvironment
    private(set) var problems: [SyntaxProblem] = []
    private(set) var reads = Reads()
    private(set) var parameterCount = 0
    private var locals: [Local] = []
    /// Where names mean members of an element: in the text of `sum(list, 'a * b')`.
    private var memberSlot: (slot: Int, type: ExpressionType)?
    /// Where all of that text's problems are told.
    private var fixedOffset: Int?

    /// Instructions of all patterns, each with what it costs to make one.
    private var patternSize = 0
    private static let maximumPatternSize = 100_000
    private static let maximumProblems = 20

    typealias Compiled = (step: Program.Step, type: ExpressionType)

    init(_ environment: ExpressionEnvironment) {
        self.environment = environment
    }

    private mutating func problem(_ message: String, _ offset: Int) {
        let offset = fixedOffset ?? offset
        guard problems.count < Self.maximumProblems,
            !problems.contains(where: { $0.offset == offset && $0.message == message })
        else { return }
        problems.append(SyntaxProblem(message, at: offset))
    }

    private static func constant(_ value: ExpressionValue, _ type: ExpressionType) -> Compiled {
        ({ (_: inout Evaluation) throws(EvaluationFailure) in value }, type)
    }

    // MARK: nodes

    mutating func compile(_ node: SyntaxNode) -> Compiled {
        switch node.kind {
        case .undefined, .broken: return Self.constant(.undefined, .null)
        case .null: return Self.constant(.null, .null)
        case .boolean(let flag): return Self.constant(.boolean(flag), .boolean)
        case .number(let number): return Self.constant(.number(number), .number)
        case .string(let text): return Self.constant(.string(text), .text)
        case .template(let texts, let parts): return template(texts, parts)
        case .pattern(let source, let flags): return pattern(source, flags, node.start)
        case .name(let name): return self.name(name, node.start)
        case .array(let elements): return array(elements)
        case .object(let properties): return object(properties)
        case .unary(let op, let operand): return unary(op, operand)
        case .binary(let op, let left, let right): return binary(op, left, right, node.start)
        case .logical(let op, let left, let right): return logical(op, left, right)
        case .condition(let condition, let then, let otherwise): return self.condition(condition, then, otherwise)
        case .member(let base, let name, let offset): return member(base, name, offset)
        case .element(let base, let key): return element(base, key)
        case .call(let callee, let arguments): return call(callee, arguments, node.start)
        case .newDate(let arguments): return newDate(arguments, node.start)
        case .arrow:
            problem("a function can only be an argument of a method that takes one", node.start)
            return Self.constant(.undefined, .any)
        }
    }

    // MARK: literals

    private mutating func template(_ texts: [String], _ parts: [SyntaxNode]) -> Compiled {
        let steps = parts.map { compile($0).step }
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1 + steps.count)
                var result = texts[0]
                for (index, step) in steps.enumerated() {
                    result += try run.text(try step(&run))
                    result += texts[index + 1]
                    try run.allocateNow(result.utf8.count)
                }
                try run.allocate(result.utf8.count)
                return .string(result)
            }, .text
        )
    }

    private mutating func pattern(_ source: String, _ flags: String, _ start: Int) -> Compiled {
        guard patternSize < Self.maximumPatternSize else {
            problem("the expression's regular expressions are too large together", start)
            return Self.constant(.undefined, .pattern)
        }
        do throws(PatternFailure) {
            let pattern = try Pattern(source: source, flags: flags)
            patternSize += 1000 + pattern.programSize
            return Self.constant(.pattern(pattern), .pattern)
        } catch {
            problem(error.message, start + 1 + (error.offset ?? 0))
            return Self.constant(.undefined, .pattern)
        }
    }

    private mutating func array(_ elements: [SyntaxNode.Element]) -> Compiled {
        let compiled = elements.map { (compile($0.value), $0.isSpread) }
        let steps = compiled.map { (step: $0.0.step, isSpread: $0.1) }
        let types = Set(compiled.map { $0.1 ? .any : $0.0.type })
        let type: ExpressionType = types.count == 1 ? types.first ?? .any : .any
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                var items: [ExpressionValue] = []
                items.reserveCapacity(steps.count)
                for element in steps {
                    let value = try element.step(&run)
                    if element.isSpread { items += try run.elements(value) } else { items.append(value) }
                    try run.allocateNow(items.count * 16)
                }
                return try run.made(items)
            }, .array(type)
        )
    }

    private enum ObjectPart: Sendable {
        case named(String, Program.Step)
        case computed(Program.Step, Program.Step)
        case spread(Program.Step)
    }

    private mutating func object(_ properties: [SyntaxNode.Property]) -> Compiled {
        let parts = properties.map { property -> ObjectPart in
            switch property {
            case .named(let name, let value): .named(name, compile(value).step)
            case .computed(let key, let value): .computed(compile(key).step, compile(value).step)
            case .spread(let value): .spread(compile(value).step)
            }
        }
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1 + parts.count)
                var members = MemberList()
                for part in parts {
                    switch part {
                    case .named(let name, let value): members.set(name, try value(&run))
                    case .computed(let key, let value):
                        let name = try run.text(try key(&run))
                        try run.spend(name.utf8.count / 16)
                        members.set(name, try value(&run))
                    case .spread(let value):
                        for member in try run.spread(try value(&run)) {
                            try run.spend(member.name.utf8.count / 16)
                            members.set(member.name, member.value)
                        }
                    }
                    try run.allocateNow(members.all.count * 48)
                }
                try run.allocate(members.all.count * 48)
                try run.requireShallow(members.all.map(\.value))
                return .object(ExpressionObject(members.all))
            }, .any
        )
    }

    // MARK: names and members

    private mutating func name(_ name: String, _ start: Int) -> Compiled {
        if let local = locals.last(where: { $0.name == name }) {
            let slot = local.slot
            return ({ (run: inout Evaluation) throws(EvaluationFailure) in run.parameters[slot] }, local.type)
        }
        if let memberSlot { return elementMember(name, memberSlot.slot, memberSlot.type, start) }
        guard let slot = environment.slot(of: name) else {
            unknownName(name, start)
            return Self.constant(.undefined, .any)
        }
        reads.paths.insert(name)
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                return run.names[slot]
            }, environment.types[slot]
        )
    }

    private mutating func unknownName(_ name: String, _ start: Int) {
        guard problems.count < Self.maximumProblems else { return }
        if FunctionLibrary.function(.global, name) != nil || FunctionLibrary.namespaces.contains(name) {
            return problem("\"\(name)\" is a function, and is called with ( )", start)
        }
        let known = environment.names + locals.map(\.name) + FunctionLibrary.names(.global) + FunctionLibrary.namespaces
        problem("there is no \"\(name)\" here" + suggestion(for: name, among: known), start)
    }

    /// A name in the text of `sum(list, 'a * b')`.
    private mutating func elementMember(_ name: String, _ slot: Int, _ type: ExpressionType, _ start: Int) -> Compiled {
        let base: Compiled = ({ (run: inout Evaluation) throws(EvaluationFailure) in run.parameters[slot] }, type)
        return member(of: base, name, start)
    }

    private mutating func member(_ base: SyntaxNode, _ name: String, _ offset: Int) -> Compiled {
        // `record.total` reads that field, not all of the record.
        if case .name(let root) = base.kind, memberSlot == nil, !locals.contains(where: { $0.name == root }),
            let slot = environment.slot(of: root)
        {
            reads.paths.insert("\(root).\(name)")
            let type = environment.types[slot]
            if case .object(let object) = type, let index = object.keys.index(of: name) {
                let keys = object.keys
                return (
                    { (run: inout Evaluation) throws(EvaluationFailure) in
                        try run.spend(1)
                        guard case .object(let value) = run.names[slot] else { return .undefined }
                        return value.keys === keys ? value.values[index] : value[name]
                    }, object.types[index]
                )
            }
            return member(
                of: ({ (run: inout Evaluation) throws(EvaluationFailure) in run.names[slot] }, type),
                name,
                offset
            )
        }
        return member(of: compile(base), name, offset)
    }

    private mutating func member(of base: Compiled, _ name: String, _ offset: Int) -> Compiled {
        var type = ExpressionType.any
        switch base.type {
        case .object(let object):
            if let known = object.type(of: name) {
                type = known
            } else {
                problem(
                    "\"\(object.name)\" has no field \"\(name)\"" + suggestion(for: name, among: object.keys.names),
                    offset
                )
            }
        case .text, .choice, .array:
            type = .number
            if name != "length" { noMember(name, of: base.type, offset) }
        case .boolean, .number, .decimal, .date, .pattern:
            noMember(name, of: base.type, offset)
        case .any, .null: break
        }
        let step = base.step
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                return try run.member(try step(&run), name)
            }, type
        )
    }

    private mutating func noMember(_ name: String, of type: ExpressionType, _ offset: Int) {
        let methods = FunctionLibrary.owner(of: type).map(FunctionLibrary.names) ?? []
        if methods.contains(name) {
            return problem("\"\(name)\" is a method, and is called with ( )", offset)
        }
        let hint = suggestion(for: name, among: methods + (type.isText || isArray(type) ? ["length"] : []))
        problem("\(type.shown) has no member \"\(name)\"\(hint)", offset)
    }

    private func isArray(_ type: ExpressionType) -> Bool {
        if case .array = type { true } else { false }
    }

    private mutating func element(_ base: SyntaxNode, _ key: SyntaxNode) -> Compiled {
        if case .string(let name) = key.kind { return member(base, name, key.start) }
        let (object, place) = (compile(base), compile(key))
        var type = ExpressionType.any
        if case .array(let element) = object.type { type = element }
        let (objectStep, placeStep) = (object.step, place.step)
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                let value = try objectStep(&run)
                let key = try placeStep(&run)
                if case .number(let number) = key, case .array(let items) = value {
                    guard let index = Int(exactly: number), items.indices.contains(index) else { return .undefined }
                    return items[index]
                }
                return try run.member(value, try run.text(key))
            }, type
        )
    }

    // MARK: operators

    private mutating func unary(_ op: UnaryOperator, _ operand: SyntaxNode) -> Compiled {
        let compiled = compile(operand)
        let step = compiled.step
        switch op {
        case .not:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    return .boolean(!(try step(&run)).isTruthy)
                }, .boolean
            )
        case .minus:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    return try run.negated(try step(&run))
                }, compiled.type == .decimal ? .decimal : compiled.type == .number ? .number : .any
            )
        case .plus:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    return try run.numeric(try step(&run))
                }, compiled.type == .decimal ? .decimal : compiled.type == .number ? .number : .any
            )
        case .typeOf:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    return .string((try step(&run)).typeName)
                }, .choice(["undefined", "object", "boolean", "number", "string"])
            )
        }
    }

    private mutating func logical(_ op: LogicalOperator, _ left: SyntaxNode, _ right: SyntaxNode) -> Compiled {
        let (a, b) = (compile(left), compile(right))
        let (first, second) = (a.step, b.step)
        let type = a.type == b.type ? a.type : .any
        switch op {
        case .and:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    let value = try first(&run)
                    return value.isTruthy ? try second(&run) : value
                }, type
            )
        case .or:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    let value = try first(&run)
                    return value.isTruthy ? value : try second(&run)
                }, type
            )
        case .coalesce:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    let value = try first(&run)
                    return value.isNullish ? try second(&run) : value
                }, type
            )
        }
    }

    private mutating func condition(
        _ condition: SyntaxNode,
        _ then: SyntaxNode,
        _ otherwise: SyntaxNode
    ) -> Compiled {
        let test = compile(condition).step
        let (a, b) = (compile(then), compile(otherwise))
        let (first, second) = (a.step, b.step)
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                (try test(&run)).isTruthy ? try first(&run) : try second(&run)
            }, a.type == b.type ? a.type : .any
        )
    }

    private mutating func binary(
        _ op: BinaryOperator,
        _ left: SyntaxNode,
        _ right: SyntaxNode,
        _ start: Int
    ) -> Compiled {
        let (a, b) = (compile(left), compile(right))
        if let message = ComparisonCheck.problem(op, (left, a.type), (right, b.type)) { problem(message, right.start) }
        let (first, second) = (a.step, b.step)
        func compared(
            _ test:
                @escaping @Sendable (ExpressionValue, ExpressionValue, inout Evaluation) throws(EvaluationFailure) ->
                Bool
        ) -> Compiled {
            (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    let x = try first(&run)
                    let y = try second(&run)
                    return .boolean(try test(x, y, &run))
                }, .boolean
            )
        }
        switch op {
        case .equal: return compared { (x, y, run) throws(EvaluationFailure) in try run.isEqual(x, y) }
        case .notEqual: return compared { (x, y, run) throws(EvaluationFailure) in !(try run.isEqual(x, y)) }
        case .same: return compared { (x, y, run) throws(EvaluationFailure) in try run.isSame(x, y) }
        case .notSame: return compared { (x, y, run) throws(EvaluationFailure) in !(try run.isSame(x, y)) }
        case .less: return compared { (x, y, run) throws(EvaluationFailure) in try run.order(x, y) == -1 }
        case .greater: return compared { (x, y, run) throws(EvaluationFailure) in try run.order(x, y) == 1 }
        case .lessOrEqual:
            return compared { (x, y, run) throws(EvaluationFailure) in (try run.order(x, y)).map { $0 <= 0 } ?? false }
        case .greaterOrEqual:
            return compared { (x, y, run) throws(EvaluationFailure) in (try run.order(x, y)).map { $0 >= 0 } ?? false }
        case .isIn: return compared { (x, y, run) throws(EvaluationFailure) in try run.contains(y, x) }
        case .isNotIn: return compared { (x, y, run) throws(EvaluationFailure) in !(try run.contains(y, x)) }
        case .add:
            // A field may be null, which is a number here.
            let type: ExpressionType =
                isSurelyText(left) || isSurelyText(right)
                ? .text : a.type.isNumber && b.type.isNumber ? number(a.type, b.type) : .any
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    let x = try first(&run)
                    let y = try second(&run)
                    return try run.add(x, y)
                }, type
            )
        case .subtract, .multiply, .divide, .remainder, .power:
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    let x = try first(&run)
                    let y = try second(&run)
                    return try run.arithmetic(op, x, y)
                }, a.type.isNumber && b.type.isNumber ? number(a.type, b.type) : .any
            )
        }
    }

    private func isSurelyText(_ node: SyntaxNode) -> Bool {
        switch node.kind {
        case .string, .template: true
        default: false
        }
    }

    private func number(_ left: ExpressionType, _ right: ExpressionType) -> ExpressionType {
        left == .decimal || right == .decimal ? .decimal : .number
    }

    // MARK: calls

    private mutating func call(_ callee: SyntaxNode, _ arguments: [SyntaxNode.Element], _ start: Int) -> Compiled {
        switch callee.kind {
        case .name(let name):
            guard !locals.contains(where: { $0.name == name }), let function = FunctionLibrary.function(.global, name)
            else {
                let isValue = environment.slot(of: name) != nil || locals.contains { $0.name == name }
                let hint = suggestion(for: name, among: FunctionLibrary.names(.global))
                problem(
                    isValue ? "\"\(name)\" is no function" : "there is no function \"\(name)\"\(hint)",
                    callee.start
                )
                return Self.constant(.undefined, .any)
            }
            return call(function, nil, arguments, callee.start)
        case .member(let base, let name, let offset):
            if case .name(let root) = base.kind, FunctionLibrary.namespaces.contains(root),
                environment.slot(of: root) == nil, !locals.contains(where: { $0.name == root })
            {
                guard let function = FunctionLibrary.function(.namespace(root), name) else {
                    let hint = suggestion(for: name, among: FunctionLibrary.names(.namespace(root)))
                    problem("\(root) has no function \"\(name)\"\(hint)", offset)
                    return Self.constant(.undefined, .any)
                }
                return call(function, nil, arguments, offset)
            }
            return method(compile(base), name, arguments, offset)
        case .element(let base, let key):
            if case .string(let name) = key.kind { return method(compile(base), name, arguments, key.start) }
            problem("only a method that is named can be called", callee.start)
            return Self.constant(.undefined, .any)
        case .broken: return Self.constant(.undefined, .any)
        default:
            problem("this is no function", callee.start)
            return Self.constant(.undefined, .any)
        }
    }

    private mutating func method(
        _ receiver: Compiled,
        _ name: String,
        _ arguments: [SyntaxNode.Element],
        _ offset: Int
    ) -> Compiled {
        if let owner = FunctionLibrary.owner(of: receiver.type) {
            guard let function = FunctionLibrary.function(owner, name) else {
                let hint = suggestion(for: name, among: FunctionLibrary.names(owner))
                problem("\(receiver.type.shown) has no method \"\(name)\"\(hint)", offset)
                return Self.constant(.undefined, .any)
            }
            return call(function, receiver, arguments, offset)
        }
        guard receiver.type == .any || receiver.type == .null else {
            problem("\(receiver.type.shown) has no method \"\(name)\"", offset)
            return Self.constant(.undefined, .any)
        }
        let candidates = FunctionLibrary.methodOwners.compactMap { FunctionLibrary.function($0, name) }
        guard !candidates.isEmpty else {
            let all = FunctionLibrary.methodOwners.flatMap(FunctionLibrary.names)
            problem("there is no method \"\(name)\"" + suggestion(for: name, among: all), offset)
            return Self.constant(.undefined, .any)
        }
        if candidates.count == 1 { return call(candidates[0], receiver, arguments, offset) }
        return dynamicCall(candidates, receiver, arguments, offset)
    }

    /// A call whose receiver decides at run time which method is meant.
    private mutating func dynamicCall(
        _ candidates: [LibraryFunction],
        _ receiver: Compiled,
        _ arguments: [SyntaxNode.Element],
        _ offset: Int
    ) -> Compiled {
        // The one that takes most stands for all in what can be checked now.
        let widest = candidates.max { $0.parameters.count < $1.parameters.count } ?? candidates[0]
        reads.functions.insert(widest.name)
        let parts = self.arguments(arguments, of: widest, elementType: .any, offset, checksCount: false)
        let (step, name) = (receiver.step, widest.name)
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                let value = try step(&run)
                if value.isNullish { return .undefined }
                guard let owner = FunctionLibrary.owner(of: value),
                    let function = candidates.first(where: { $0.owner == owner })
                else { throw EvaluationFailure("\(value.kind) has no method \"\(name)\"") }
                return try function.body(value, try run.arguments(parts), &run)
            }, .any
        )
    }

    /// An argument that is ready to be taken.
    enum ArgumentPart: Sendable {
        case value(Program.Step)
        case spread(Program.Step)
        case function(CompiledFunction)
    }

    private mutating func call(
        _ function: LibraryFunction,
        _ receiver: Compiled?,
        _ arguments: [SyntaxNode.Element],
        _ offset: Int
    ) -> Compiled {
        reads.functions.insert(function.name)
        var elementType = ExpressionType.any
        var firstCompiled: Compiled?
        if case .array(let element)? = receiver?.type { elementType = element }
        if receiver == nil, let first = arguments.first, !first.isSpread, function.parameters.count > 1,
            function.parameters[1].functionParameters != nil
        {
            // What kind the list has, its function must know.
            let list = compile(first.value)
            if case .array(let element) = list.type { elementType = element }
            firstCompiled = list
        }
        let parts = self.arguments(
            arguments,
            of: function,
            elementType: elementType,
            offset,
            checksCount: true,
            first: firstCompiled
        )
        let body = function.body
        let owner = function.owner
        let name = function.name
        guard let receiver else {
            return (
                { (run: inout Evaluation) throws(EvaluationFailure) in
                    try run.spend(1)
                    return try body(.undefined, try run.arguments(parts), &run)
                }, function.result
            )
        }
        let step = receiver.step
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                let value = try step(&run)
                if value.isNullish { return .undefined }
                guard FunctionLibrary.owner(of: value) == owner else {
                    throw EvaluationFailure("\(value.kind) has no method \"\(name)\"")
                }
                return try body(value, try run.arguments(parts), &run)
            }, result(of: function, elementType)
        )
    }

    /// What is known of a method's value where the elements are known.
    private func result(of function: LibraryFunction, _ elementType: ExpressionType) -> ExpressionType {
        guard function.owner == .array else { return function.result }
        switch function.name {
        case "filter", "slice", "sort", "reverse": return .array(elementType)
        case "find", "at": return elementType
        default: return function.result
        }
    }

    private mutating func arguments(
        _ arguments: [SyntaxNode.Element],
        of function: LibraryFunction,
        elementType: ExpressionType,
        _ offset: Int,
        checksCount: Bool,
        first: Compiled? = nil
    ) -> [ArgumentPart] {
        let parameters = function.parameters
        let required = parameters.count(where: \.isRequired)
        let isOpen = parameters.last?.isRest ?? false
        let hasSpread = arguments.contains(where: \.isSpread)
        if checksCount, !hasSpread, arguments.count < required || (!isOpen && arguments.count > parameters.count) {
            problem(
                "\(function.signature) takes \(countText(required, isOpen ? nil : parameters.count)), not \(arguments.count)",
                offset
            )
        }
        return arguments.enumerated().map { index, argument in
            let parameter = index < parameters.count ? parameters[index] : parameters.last
            if case .arrow(let names, let body) = argument.value.kind {
                return arrow(names, body, parameter, function, elementType, argument.value.start)
            }
            if case .optionalFunction? = parameter, function.owner == .global, !argument.isSpread {
                return memberText(argument.value, function, elementType)
            }
            if case .function(let name, _)? = parameter, !argument.isSpread {
                problem("\(function.signature): \"\(name)\" is a function: x => …", argument.value.start)
            }
            if index == 0, let first {
                checkArgument(argument.value, first.type, parameter, function)
                return .value(first.step)
            }
            if let pattern = literalPattern(argument, index, function) { return .value(pattern.step) }
            let (step, type) = compile(argument.value)
            if !argument.isSpread { checkArgument(argument.value, type, parameter, function) }
            return argument.isSpread ? .spread(step) : .value(step)
        }
    }

    /// Tells what a parameter can't be made of.
    private mutating func checkArgument(
        _ node: SyntaxNode,
        _ type: ExpressionType,
        _ parameter: LibraryFunction.Parameter?,
        _ function: LibraryFunction
    ) {
        switch parameter {
        case .list(let name)?:
            switch type {
            case .any, .null, .array: break
            default: problem("\(function.signature): \"\(name)\" is an array, and this is \(type.shown)", node.start)
            }
        case .number(let name)?:
            var isNone = false
            switch type {
            case .array, .object, .pattern: isNone = true
            default: if case .string(let text) = node.kind { isNone = NumberText.number(text).isNaN }
            }
            if isNone { problem("\(function.signature): \"\(name)\" is a number, and this is none", node.start) }
        default: break
        }
    }

    /// The text of a pattern that is known now is compiled now.
    private mutating func literalPattern(
        _ argument: SyntaxNode.Element,
        _ index: Int,
        _ function: LibraryFunction
    ) -> Compiled? {
        let isPattern =
            (function.owner == .global && function.name == "matches" && index == 1)
            || (function.owner == .text && function.name == "match" && index == 0)
        guard isPattern, !argument.isSpread, case .string(let source) = argument.value.kind else { return nil }
        return pattern(source, "", argument.value.start)
    }

    private func countText(_ least: Int, _ most: Int?) -> String {
        guard let most else { return "\(least) or more arguments" }
        let count = least == most ? "\(most)" : "\(least) to \(most)"
        return "\(count) argument\(most == 1 ? "" : "s")"
    }

    private mutating func arrow(
        _ names: [String],
        _ body: SyntaxNode,
        _ parameter: LibraryFunction.Parameter?,
        _ function: LibraryFunction,
        _ elementType: ExpressionType,
        _ start: Int
    ) -> ArgumentPart {
        guard let most = parameter?.functionParameters else {
            problem("\(function.signature) takes no function here", start)
            return .value { (_: inout Evaluation) throws(EvaluationFailure) in .undefined }
        }
        if names.count > most {
            problem(
                "the function of \(function.name) has at most \(most) parameter\(most == 1 ? "" : "s"), not \(names.count)",
                start
            )
        }
        let isReduce = function.name == "reduce"
        let isReplace = function.owner == .text
        let (before, member) = (locals.count, memberSlot)
        memberSlot = nil
        var slots: [Int] = []
        for (index, name) in names.enumerated() {
            let isElement = isReduce ? index == 1 : function.name == "sort" ? true : index == 0
            let type: ExpressionType = isReplace ? .any : isElement ? elementType : .any
            slots.append(parameterCount)
            locals.append(Local(name: name, slot: parameterCount, type: type))
            parameterCount += 1
        }
        let step = compile(body).step
        locals.removeSubrange(before...)
        memberSlot = member
        return .function(CompiledFunction(slots: slots, body: step))
    }

    /// `'a * b'`: an expression over the members of each element.
    private mutating func memberText(
        _ node: SyntaxNode,
        _ function: LibraryFunction,
        _ elementType: ExpressionType
    ) -> ArgumentPart {
        guard case .string(let source) = node.kind else {
            problem("\(function.signature): the second argument is a function, or an expression in quotes", node.start)
            return .value { (_: inout Evaluation) throws(EvaluationFailure) in .undefined }
        }
        guard fixedOffset == nil else {
            problem("an expression in quotes can't stand in another one; use a function: x => …", node.start)
            return .value { (_: inout Evaluation) throws(EvaluationFailure) in .undefined }
        }
        let (inner, found) = Parser.parse(source)
        let outer = (fixedOffset, memberSlot)
        fixedOffset = node.start
        defer { (fixedOffset, memberSlot) = outer }
        guard let inner else {
            for one in found { problem("in '\(source.prefix(60))': \(one.message)", node.start) }
            return .value { (_: inout Evaluation) throws(EvaluationFailure) in .undefined }
        }
        let slot = parameterCount
        parameterCount += 1
        memberSlot = (slot, elementType)
        return .function(CompiledFunction(slots: [slot], body: compile(inner).step))
    }

    private mutating func newDate(_ arguments: [SyntaxNode.Element], _ start: Int) -> Compiled {
        guard let argument = arguments.first else {
            reads.functions.insert("now")
            return ({ (run: inout Evaluation) throws(EvaluationFailure) in .date(run.now) }, .date)
        }
        if arguments.count > 1 || argument.isSpread {
            problem("new Date takes a text, a date or milliseconds", start)
        }
        let step = compile(argument.value).step
        return (
            { (run: inout Evaluation) throws(EvaluationFailure) in
                try run.spend(1)
                switch try step(&run) {
                case .date(let date): return .date(date)
                case .string(let text): return .date(run.date(text))
                case let value: return .date(DateValue(milliseconds: try run.double(value)))
                }
            }, .date
        )
    }
}

/// Members of an object that is being made: a name that comes again keeps its place and takes the new value.
private struct MemberList {
    private(set) var all: [(name: String, value: ExpressionValue)] = []
    private var indexes: [ByteName: Int] = [:]

    mutating func set(_ name: String, _ value: ExpressionValue) {
        if let index = indexes[ByteName(name)] {
            all[index].value = value
        } else {
            indexes[ByteName(name)] = all.count
            all.append((name, value))
        }
    }
}

extension Evaluation {
    /// A member by name; undefined where there is none. There are no prototypes.
    mutating func member(_ value: ExpressionValue, _ name: String) throws(EvaluationFailure) -> ExpressionValue {
        try spend(name.utf8.count / 16)
        switch value {
        case .object(let object): return object[name]
        case .array(let items):
            if name == "length" { return .number(Double(items.count)) }
            guard name.utf8.count < 20, let index = Int(name), String(index) == name, items.indices.contains(index)
            else { return .undefined }
            return items[index]
        case .string(let text):
            if name == "length" {
                try spend(text.utf8.count / 16)
                return .number(Double(text.utf16.count))
            }
            guard name.utf8.count < 20, let index = Int(name), String(index) == name, index >= 0 else {
                return .undefined
            }
            let units = try units(text)
            return units.indices.contains(index) ? try string(units[index...index]) : .undefined
        default: return .undefined
        }
    }

    /// What `...` puts into an array.
    mutating func elements(_ value: ExpressionValue) throws(EvaluationFailure) -> [ExpressionValue] {
        switch value {
        case .array(let items):
            try spend(items.count)
            return items
        case .string(let text):
            try spend(text.utf8.count)
            try allocate(text.utf8.count * 16)
            return text.unicodeScalars.map { .string(String($0)) }
        default: throw EvaluationFailure("... takes an array here, and got \(value.kind)")
        }
    }

    /// What `...` puts into an object; of what has no members, nothing.
    mutating func spread(
        _ value: ExpressionValue
    ) throws(EvaluationFailure) -> [(name: String, value: ExpressionValue)] {
        value.isNullish ? [] : try members(value)
    }

    mutating func arguments(_ parts: [Compiler.ArgumentPart]) throws(EvaluationFailure) -> [Argument] {
        var arguments: [Argument] = []
        arguments.reserveCapacity(parts.count)
        for part in parts {
            switch part {
            case .value(let step): arguments.append(.value(try step(&self)))
            case .function(let function): arguments.append(.function(function))
            case .spread(let step): arguments += try elements(try step(&self)).map(Argument.value)
            }
        }
        return arguments
    }

    /// `x in y`: an element of an array, a part of a text, a member of an object.
    mutating func contains(_ container: ExpressionValue, _ value: ExpressionValue) throws(EvaluationFailure) -> Bool {
        switch container {
        case .array(let items):
            for item in items {
                try spend(1)
                if try isSame(item, value) { return true }
            }
            return false
        case .string(let text):
            let (units, part) = (try units(text), try units(try self.text(value)))
            guard part.count <= units.count else { return false }
            try spend((units.count + part.count) / 8)
            return TextSearch(part).first(in: units, from: 0) != nil
        case .object(let object):
            let name = try text(value)
            try spend(name.utf8.count / 16)
            return object.keys.index(of: name) != nil
        case .undefined, .null: return false
        default: throw EvaluationFailure("in takes an array, a text or an object, and got \(container.kind)")
        }
    }
}
