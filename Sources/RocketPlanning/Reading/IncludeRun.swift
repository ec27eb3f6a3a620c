package import RocketModel

/// Reads related records level by level, and puts them into the records that they belong to. The statements are run
/// by whoever has the database.
package struct IncludeRun: Sendable {
    private struct Node: Sendable {
        let plan: IncludePlan
        let parent: Int?
        /// Where among the parent's values its link field stands.
        let linkPosition: Int
        var children: [Int] = []
        var rows = StatementResult()
        /// The rows of each key, in their order.
        var index: [LinkKey: [Int]] = [:]
    }

    private var nodes: [Node] = []
    private let roots: [Int]
    private var root: StatementResult
    /// The nodes whose statements are to run next.
    private var level: [Int]
    private var byteCount = 0

    /// What an answer may have at most, with all that is included.
    package static let maximumBytes = 64 << 20

    /// - Parameters:
    ///   - root: the records, with ``StatementResult/rowEnds``, whose values are at `positions`.
    ///   - positions: where among the values of a row the link columns stand.
    package init(_ includes: Includes, of entity: EntityModel, root: StatementResult, positions: [Int]) {
        self.root = root
        var nodes: [Node] = []
        func add(_ includes: Includes, of entity: EntityModel, parent: Int?, _ positions: [Int]) -> [Int] {
            includes.plans.map { plan in
                let column = plan.side.ownField(of: entity)
                let position = includes.linkColumns.firstIndex(of: column) ?? 0
                let index = nodes.count
                nodes.append(Node(plan: plan, parent: parent, linkPosition: positions[position]))
                let inner = Array(plan.includes.linkColumns.indices)
                let children = add(plan.includes, of: plan.other, parent: index, inner)
                nodes[index].children = children
                return index
            }
        }
        roots = add(includes, of: entity, parent: nil, positions)
        self.nodes = nodes
        level = roots
    }

    /// Puts the records themselves in, where they were written after their related rows were asked for.
    package mutating func setRoot(_ root: StatementResult) {
        self.root.json = root.json
        self.root.rowEnds = root.rowEnds
    }

    /// The statements of the next level; none when all is read. Each is given its result by ``take(_:)``.
    package mutating func statements() -> [SQLStatement] {
        while !level.isEmpty {
            let statements = level.compactMap { node -> SQLStatement? in
                let keys = keys(of: node)
                return keys.isEmpty ? nil : nodes[node].plan.statement(keys: keys)
            }
            if !statements.isEmpty { return statements }
            level = level.flatMap { nodes[$0].children }
        }
        return []
    }

    /// Whether the level that is read now is the last.
    package var isAtLastLevel: Bool {
        level.allSatisfy { nodes[$0].children.isEmpty }
    }

    /// - Throws: 400 where there are more related records than one answer takes.
    package mutating func take(_ results: [StatementResult]) throws(RequestFailure) {
        var results = results[...]
        for node in level where !keys(of: node).isEmpty {
            guard var result = results.popFirst() else { break }
            let plan = nodes[node].plan
            if let mask = plan.mask { result = mask.apply(result) }
            guard result.rowCount <= IncludePlan.maximumRows else {
                throw .parameter(
                    "include",
                    "\"\(plan.side.name)\" has more than \(IncludePlan.maximumRows) records here;"
                        + " ask for fewer with include[\(plan.side.name)][limit]"
                )
            }
            byteCount += result.json.count
            guard byteCount <= Self.maximumBytes else { throw tooLarge }
            let type = plan.own.fields[plan.side.ownField(of: plan.own)].shape.type
            for (index, row) in result.rows.enumerated() {
                guard let back = row.last, let key = LinkKey(back, type) else { continue }
                nodes[node].index[key, default: []].append(index)
            }
            nodes[node].rows = result
        }
        level = level.flatMap { nodes[$0].children }
    }

    private func keys(of node: Int) -> [SQLValue] {
        let parent = nodes[node].parent.map { nodes[$0].rows } ?? root
        let plan = nodes[node].plan
        let type = plan.own.fields[plan.side.ownField(of: plan.own)].shape.type
        var seen: Set<LinkKey> = []
        return parent.rows.compactMap { row in
            let value = row[nodes[node].linkPosition]
            guard let key = LinkKey(value, type), seen.insert(key).inserted else { return nil }
            return value
        }
    }

    private var tooLarge: RequestFailure {
        let message = "The answer would have more than \(Self.maximumBytes) bytes"
        guard nodes.first?.plan.isEcho == true else { return .parameter("include", "\(message); include less") }
        return RequestFailure(.payloadTooLarge, "\(message); write fewer records at once")
    }

    // MARK: putting together

    /// The records with what was read for them, as JSON objects with commas between them.
    ///
    /// - Throws: 400 where they are larger than an answer may be, 413 for those of a write.
    package func assembled() throws(RequestFailure) -> [UInt8] {
        var writer = JSONWriter(capacity: root.json.count * 2)
        for row in root.rowEnds.indices {
            if row > 0 { writer.raw(",") }
            try write(row, of: root, roots, into: &writer)
        }
        return writer.bytes
    }

    private func write(
        _ row: Int,
        of result: StatementResult,
        _ children: [Int],
        into writer: inout JSONWriter
    ) throws(RequestFailure) {
        let start = row == 0 ? 0 : result.rowEnds[row - 1] + 1
        let end = result.rowEnds[row] - (children.isEmpty ? 0 : 1)
        writer.bytes.append(contentsOf: result.json[start..<end])
        guard writer.bytes.count <= Self.maximumBytes else { throw tooLarge }
        guard !children.isEmpty else { return }
        for child in children {
            let plan = nodes[child].plan
            if writer.bytes.last != UInt8(ascii: "{") { writer.raw(",") }
            writer.string(plan.side.name)
            writer.raw(":")
            let type = plan.own.fields[plan.side.ownField(of: plan.own)].shape.type
            let key = LinkKey(result.rows[row][nodes[child].linkPosition], type)
            let related = key.flatMap { nodes[child].index[$0] } ?? []
            if plan.side.isMany { writer.raw("[") }
            for (position, index) in (plan.side.isMany ? related[...] : related.prefix(1)).enumerated() {
                if position > 0 { writer.raw(",") }
                try write(index, of: nodes[child].rows, nodes[child].children, into: &writer)
            }
            if plan.side.isMany { writer.raw("]") } else if related.isEmpty { writer.raw("null") }
        }
        writer.raw("}")
    }
}
