import RocketModel
import Testing

struct FailureTests {
    @Test func countsItsViolationsInItsHeadline() {
        let one = FailureDetail(field: "a", rule: .required, message: "is required")
        let two = FailureDetail(field: "b", rule: .type, message: "expected a string")

        #expect(RequestFailure.validation([one]).message == "One thing is not valid")
        #expect(RequestFailure.validation([one, two]).message == "2 things are not valid")
        #expect(RequestFailure.validation([one, two]).code == .validationFailed)
        #expect(RequestFailure.validation([one, two]).details == [one, two])
    }

    @Test func carriesTheFirst200ViolationsOfAHostilePayload() {
        let details = (0..<201).map { FailureDetail(field: "f\($0)", rule: .unknown, message: "is not known here") }

        let all = RequestFailure.validation(Array(details.prefix(200)))
        #expect(all.details.count == 200)
        #expect(all.message == "200 things are not valid")

        let some = RequestFailure.validation(details)
        #expect(some.details == Array(details.prefix(200)))
        #expect(some.message == "201 things are not valid; the first 200 follow")
    }

    @Test func namesTheEntityThatWasMeant() {
        let failure = RequestFailure.unknownEntity("tickt", known: ["ticket", "customer"])
        #expect(failure.code == .unknownEntity)
        #expect(failure.message == "There is no entity \"tickt\"; did you mean \"ticket\"?")
    }

    @Test func tellsNoMegabytesOfWhatCame() {
        let sent = String(repeating: "é", count: 100_000)
        let failure = RequestFailure(
            .unknownField,
            "There is no \(sent)",
            details: [
                FailureDetail(field: sent, message: "not \(sent)")
            ]
        )
        for text in [failure.message, failure.details[0].message, failure.details[0].field ?? ""] {
            #expect(text.utf8.count < 4_100 && text.hasSuffix("é…"))
        }
    }

    @Test func asksToComeBackWhereItIsUnavailable() {
        let failure = RequestFailure.unavailable("The server is draining")
        #expect(failure.code == .unavailable)
        #expect(failure.retryAfterSeconds == 1)
    }

    @Test func codesAreSpelledInCapitals() {
        for code in ErrorCode.allCases {
            #expect(code.rawValue == code.rawValue.uppercased(), "\(code)")
            #expect(!code.rawValue.contains(" "))
        }
    }
}

struct PrincipalTests {
    @Test(arguments: ["admin", "Admin", "ADMIN"])
    func comparesRolesWithoutCase(role: String) {
        let principal = Principal(userID: "1", email: "a@example.com", roles: ["agent", role])
        #expect(principal.isAdmin)
        #expect(principal.hasRole("AGENT"))
        #expect(!principal.hasRole("customer"))
    }

    @Test(arguments: [[], ["agent"], ["administrator"], ["admin "], ["platform_admin"]] as [[String]])
    func otherRolesOfAnAppAreNoAdministrators(roles: [String]) {
        let principal = Principal(userID: "1", email: "a@example.com", roles: roles)
        #expect(!principal.isAdmin)
        #expect(!principal.isPlatformAdmin)
    }

    @Test func aPlatformAdministratorAdministersEveryApp() {
        let principal = Principal(userID: "1", email: "a@example.com", roles: ["platform_admin"], isOfPlatform: true)
        #expect(principal.isPlatformAdmin)
        #expect(principal.isAdmin)
    }

    @Test func theRoleAdminOfThePlatformIsNotThatOfAnApp() {
        let principal = Principal(userID: "1", email: "a@example.com", roles: ["admin"], isOfPlatform: true)
        #expect(!principal.isPlatformAdmin)
        #expect(!principal.isAdmin)
    }
}
