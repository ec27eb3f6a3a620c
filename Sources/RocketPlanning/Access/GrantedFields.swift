import RocketModel

/// The fields that policies grant: of several that hold for a row, all that any of them names.
struct GrantedFields: Sendable {
    /// In every row that is granted.
    let everywhere: Set<Int>
    /// In some of them.
    let anywhere: Set<Int>
    private let entity: EntityModel
    private let alternatives: [Grant.Alternative]

    /// Nil where all fields are granted.
    init?(_ grant: Grant, _ entity: EntityModel) {
        let all = Set(entity.fields.indices)
        // What can't hold grants nothing.
        let alternatives = grant.alternatives.filter { $0.conditions != nil }
        guard grant.alternatives.contains(where: { $0.fields != nil }) else { return nil }
        self.entity = entity
        self.alternatives = alternatives
        let fields = alternatives.map { $0.fields ?? all }
        // One without conditions holds for every row.
        let always = alternatives.filter { $0.conditions?.isEmpty ?? false }.map { $0.fields ?? all }
        let common = fields.dropFirst().reduce(fields.first ?? [entity.keyIndex]) { $0.intersection($1) }
        everywhere = always.reduce(common) { $0.union($1) }
        anywhere = fields.reduce([entity.keyIndex]) { $0.union($1) }
    }

    /// Whether what is granted depends on the row.
    var dependsOnRow: Bool { everywhere != anywhere }

    /// Columns that say of a row which policies hold; none where it is all the same.
    func flags(_ row: RowName, _ sql: inout SQLBuilder) -> [String] {
        guard dependsOnRow else { return [] }
        return alternatives.map { alternative in
            sql.capture { $0.appendFlag(alternative.conditions, of: row) }
        }
    }

    /// - Parameter firstFlag: where among a row's values the flags stand.
    func mask(firstFlag: Int) -> RowMask {
        let all = Set(entity.fields.indices)
        let names = { (fields: Set<Int>) in Set(fields.map { self.entity.fields[$0].name }) }
        return RowMask(
            fieldNames: names(all),
            granted: dependsOnRow ? alternatives.map { names($0.fields ?? all) } : [names(everywhere)],
            firstFlag: dependsOnRow ? firstFlag : nil
        )
    }

    /// The fields that are granted where some of the alternatives hold.
    static func union(_ grant: Grant, _ held: [Bool], _ entity: EntityModel) -> Set<Int> {
        var fields: Set<Int> = []
        for (alternative, holds) in zip(grant.alternatives, held) where holds {
            guard let own = alternative.fields else { return Set(entity.fields.indices) }
            fields.formUnion(own)
        }
        return fields
    }
}

/// Takes members out of rows that their reader may not see.
package struct RowMask: Sendable {
    fileprivate let fieldNames: Set<String>
    fileprivate let granted: [Set<String>]
    fileprivate let firstFlag: Int?

    /// The rows with what is granted of each; their values stay.
    package func apply(_ result: StatementResult) -> StatementResult {
        var masked = result
        masked.json = []
        masked.rowEnds = []
        var start = 0
        let ends = result.rowEnds.isEmpty && result.rowCount == 1 ? [result.json.count] : result.rowEnds
        for (row, end) in ends.enumerated() {
            if row > 0 { masked.json.append(UInt8(ascii: ",")) }
            masked.json += shown(
                result.json[start..<end],
                names(result.rows.indices.contains(row) ? result.rows[row] : [])
            )
            masked.rowEnds.append(masked.json.count)
            start = end + 1
        }
        return masked
    }

    private func names(_ values: [SQLValue]) -> Set<String> {
        guard let firstFlag else { return granted.first ?? [] }
        var names: Set<String> = []
        for (index, fields) in granted.enumerated() where values.indices.contains(firstFlag + index) {
            if values[firstFlag + index] == .integer(1) { names.formUnion(fields) }
        }
        return names
    }

    private func shown(_ json: ArraySlice<UInt8>, _ names: Set<String>) -> [UInt8] {
        do throws(JSONSyntaxError) {
            guard case .object(let object) = try JSONParser.parse(Array(json), maximumDepth: 512) else { return [] }
            let members = object.members.filter { names.contains($0.name) || !fieldNames.contains($0.name) }
            return JSONValue.object(JSONObject(uniqueMembers: members)).jsonBytes
        } catch {
            // What can't be read can't be shown in part.
            return Array("{}".utf8)
        }
    }
}
