/// Names of types for those of entities.
package enum TypeNames {
    /// `order_line` becomes `OrderLine`.
    package static func pascal(_ name: String) -> String {
        name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }
}
