import RocketModel
import RocketPlanning
import Testing

private func principal(_ roles: [String], isOfPlatform: Bool = false) -> Principal {
    Principal(userID: "u", email: "u@x.example", roles: roles, isOfPlatform: isOfPlatform)
}

struct AccessDecisionTests {
    @Test(arguments: [RecordAction.read, .create, .update, .delete])
    func anAdministratorMayDoEverything(action: RecordAction) throws {
        let access = Access(principal(["agent", "ADMIN"]), to: try Desk.snapshot(), at: Desk.now)
        let grant = try access.grant(action, on: try Desk.entity("ticket"))
        #expect(grant.action == action)
        #expect(grant.entity == "ticket")
        #expect(grant.isAdministrator)
    }

    @Test(arguments: [RecordAction.read, .create, .update, .delete])
    func everyoneElseIsRefusedUntilAPolicySaysOtherwise(action: RecordAction) throws {
        let entity = try Desk.entity("ticket")
        for roles in [[], ["agent"], ["administrator"], ["admin "], ["platform_admin"]] {
            let refused = failure {
                try Access(principal(roles), to: try Desk.snapshot(), at: Desk.now).grant(action, on: entity)
            }
            #expect(refused?.code == .forbidden, "\(roles)")
            #expect(refused?.message == "No permission allows you to \(action.rawValue) \"ticket\"")
        }
    }

    @Test func aPlatformAdministratorMayDoEverything() throws {
        let platform = principal(["Platform_Admin"], isOfPlatform: true)
        #expect(
            try Access(platform, to: try Desk.snapshot(), at: Desk.now).grant(.delete, on: try Desk.entity("note"))
                .isAdministrator
        )
    }

    @Test func theAdministrationNeedsTheRoleAdmin() {
        #expect(failure { try AccessDecision.requireAdministrator(principal(["Admin"])) } == nil)
        let refused = failure { try AccessDecision.requireAdministrator(principal(["agent"])) }
        #expect(refused?.code == .forbidden)
        #expect(refused?.message.contains("\"admin\"") == true)
    }

    @Test func thePlatformNeedsItsOwnAdministrator() {
        let platform = principal(["platform_admin"], isOfPlatform: true)
        #expect(failure { try AccessDecision.requirePlatformAdministrator(platform) } == nil)
        for other in [principal(["admin"]), principal(["platform_admin"]), principal(["admin"], isOfPlatform: true)] {
            let refused = failure { try AccessDecision.requirePlatformAdministrator(other) }
            #expect(refused?.code == .forbidden)
            #expect(refused?.message.contains("\"platform_admin\"") == true)
        }
    }
}
