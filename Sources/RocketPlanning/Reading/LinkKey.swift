import RocketModel

/// A stored value that links two rows, equal to another as the database holds them equal: text byte for byte,
/// decimals by value.
struct LinkKey: Hashable, Sendable {
    private enum Form: Hashable {
        case integer(Int64)
        case double(Double)
        case text(ByteName)
        case decimal(DecimalNumber)
    }

    private let form: Form

    /// Nil for null, which links nothing.
    init?(_ value: SQLValue, _ type: FieldType) {
        switch value {
        case .null: return nil
        case .integer(let whole): form = .integer(whole)
        case .double(let double): form = .double(double)
        case .text(let text):
            if type == .decimal, let number = DecimalNumber(text) {
                form = .decimal(number)
            } else {
                form = .text(ByteName(text))
            }
        }
    }
}
