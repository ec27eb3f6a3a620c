package import RocketExpression
package import RocketModel

extension ObjectType {
    /// What expressions know of the one who asks.
    package static let user = ObjectType(
        name: "user",
        members: [("id", .text), ("email", .text), ("roles", .array(.text)), ("attributes", .any)]
    )
}

extension Principal {
    /// `user` in expressions.
    package var expressionValue: ExpressionValue {
        .object(
            ExpressionObject(
                ObjectType.user.keys,
                [
                    .string(userID), .string(email), .array(appRoles.map { .string($0) }),
                    ExpressionValue(JSONValue.object(attributes)),
                ]
            )
        )
    }
}
