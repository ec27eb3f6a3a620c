import RocketModel

/// Decides which related records are read beside the records of a read.
package enum IncludePlanner {
    /// One include as a tree of names, with what is asked of it.
    private struct Wish {
        var names: [String] = []
        var children: [String: Wish] = [:]
        var limit: Int?
        var sort: (keys: [RecordQuery.SortKey], parameter: String)?
        var filters: [RecordQuery.Filter] = []
        var fields: (names: [String], parameter: String)?

        /// Finds or makes the wish at a path.
        mutating func at(_ path: ArraySlice<String>, _ change: (inout Wish) -> Void) {
            guard let name = path.first else { return change(&self) }
            if children[name] == nil { names.append(name) }
            children[name, default: Wish()].at(path.dropFirst(), change)
        }
    }

    /// - Throws: 400 for names and values that the entities do not take, 403 where a relation leads to an entity that
    ///   the caller can't read.
    static func plan(
        _ view: RecordView,
        of entity: EntityModel,
        _ access: Access
    ) throws(RequestFailure) -> Includes {
        var root = Wish()
        // Who names the fields has said what is to be seen.
        if view.fields == nil {
            for side in entity.relations where side.isSource && side.definition.fetch == .eager {
                // What nobody has asked for is no reason to refuse.
                guard access.mayInclude(side, of: entity) else { continue }
                root.at([side.name]) { _ in }
            }
        }
        for path in view.includes { root.at(path[...]) { _ in } }
        for option in view.options {
            root.at(option.path[...]) { wish in
                switch option.kind {
                case .limit(let limit): wish.limit = limit
                case .sort(let keys): wish.sort = (keys, option.parameter)
                case .filter(let filter): wish.filters.append(filter)
                case .fields(let names): wish.fields = (names, option.parameter)
                }
            }
        }
        guard !root.names.isEmpty else { return .none }
        var count = 0
        return try plans(root, of: entity, access, isEcho: false, &count)
    }

    /// Related records along paths of names.
    ///
    /// - Throws: as above.
    static func plan(
        _ paths: [[String]],
        of entity: EntityModel,
        _ access: Access
    ) throws(RequestFailure) -> Includes {
        var root = Wish()
        for path in paths { root.at(path[...]) { _ in } }
        var count = 0
        return try plans(root, of: entity, access, isEcho: true, &count)
    }

    private static func plans(
        _ wish: Wish,
        of entity: EntityModel,
        _ access: Access,
        isEcho: Bool,
        _ count: inout Int
    ) throws(RequestFailure) -> Includes {
        var plans: [IncludePlan] = []
        for name in wish.names {
            count += 1
            guard isEcho || count <= RecordView.maximumIncludes else {
                throw .parameter("include", "A request includes at most \(RecordView.maximumIncludes) relations")
            }
            guard let side = entity.relation(name) else {
                throw .unknownRelation(name, of: entity, parameter: "include")
            }
            let inner = wish.children[name] ?? Wish()
            // What a write answers leaves out what its caller can't read.
            let (other, grant): (EntityModel, Grant)
            do throws(RequestFailure) {
                (other, grant) = try access.related(.read, through: side, of: entity)
            } catch {
                guard isEcho else { throw error }
                continue
            }
            let fields = grant.fields(of: other)
            var tables = VisibleTables()
            guard side.isMany || (inner.limit == nil && inner.sort == nil) else {
                throw .parameter("include", "\"\(name)\" is one record, which has neither limit nor sort")
            }
            plans.append(
                IncludePlan(
                    side: side,
                    own: entity,
                    other: other,
                    columns: try ReadPlanner.projection(
                        inner.fields?.names,
                        other,
                        access,
                        inner.fields?.parameter ?? "fields"
                    ) ?? fields?.anywhere.sorted() ?? Array(other.fields.indices),
                    fields: fields,
                    conditions: RowCondition.limited(
                        try ConditionTree.resolve(inner.filters, other, access),
                        to: grant.condition
                    ),
                    sort: try SortKeys.spell(
                        inner.sort?.keys ?? [],
                        other,
                        .named("_t0"),
                        access,
                        &tables,
                        parameter: inner.sort?.parameter ?? "sort"
                    ),
                    tables: tables,
                    limit: inner.limit,
                    isEcho: isEcho,
                    includes: try self.plans(inner, of: other, access, isEcho: isEcho, &count)
                )
            )
        }
        return Includes(plans, of: entity)
    }
}
