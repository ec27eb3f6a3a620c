import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

@testable import RocketServer

/// Which address a request came from, where proxies stand before the server.
struct TrustedProxiesTests {
    @Test(
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("192.0.2.1", "192.0.2.1"), ("255.255.255.255", "255.255.255.255"),
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::00a1", "2001:db8::a1"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("0:0:0:0:0:0:0:0", "::"), ("fe80::1:2", "fe80::1:2"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
            ("::1.2.3.4", "::102:304"), ("::ffff:1.2.3.4", "1.2.3.4"), ("::FFFF:0102:0304", "1.2.3.4"),
            ("0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"),
        ]
    )
    func anAddressHasOneText(text: String, expected: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == expected)
        #expect(IPAddress(expected) == address)
    }

    @Test(
        arguments: [
            "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "1.2.3.1000", "01.2.3.4",
            "1.2.3.00", "0x1.2.3.4", "1.2.3.+4", "1.2.3.-4", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4:80", "1.2.3.4/8",
            "１.2.3.4",
            ":", ":::", "::::", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4::5:6:7:8",
            "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:::2", ":1::2", "1::2:",
            "12345::", "g::", "+1::", "::1%eth0", "fe80::1%1", "[::1]", "::1.2.3", "::1.2.3.4.5", "::1.2.3.256",
            "::01.2.3.4", "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:1.2.3.4", "localhost",
            "unknown",
        ]
    )
    func whatIsNoAddressIsRefused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        arguments: [
            (
                "10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
                ["11.0.0.0", "9.255.255.255", "::10.0.0.1"]
            ),
            ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            ("192.0.2.6/31", ["192.0.2.6", "192.0.2.7"], ["192.0.2.5", "192.0.2.8"]),
            ("0.0.0.0/0", ["1.2.3.4", "255.255.255.255"], ["::1", "::"]),
            ("::/0", ["::1", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]),
            ("::ffff:0:0/96", ["1.2.3.4"], ["::1", "1::"]),
            ("::ffff:10.0.0.0/104", ["10.1.2.3"], ["11.0.0.0"]),
            ("fd00::/8", ["fd00::1", "fdff::"], ["fe00::", "fc00::"]), ("::1/128", ["::1"], ["::", "::2"]),
        ] as [(String, [String], [String])]
    )
    func aNetworkHoldsTheAddressesThatBeginAsItDoes(text: String, inside: [String], outside: [String]) throws {
        let network = try IPNetwork(text)
        for address in inside { #expect(network.contains(try #require(IPAddress(address))), "\(address)") }
        for address in outside { #expect(!network.contains(try #require(IPAddress(address))), "\(address)") }
    }

    @Test(
        arguments: [
            ("proxy.example", .noAddress), ("", .noAddress), ("/8", .noAddress), ("10.0.0/8", .noAddress),
            ("fe80::1%eth0", .noAddress), ("10.0.0.1:80", .noAddress), ("[::1]", .noAddress), ("*", .noAddress),
            ("10.0.0.0/33", .badLength(0...32)), ("10.0.0.0/", .badLength(0...32)), ("10.0.0.0/-1", .badLength(0...32)),
            ("10.0.0.0/08", .badLength(0...32)), ("10.0.0.0/+8", .badLength(0...32)),
            ("10.0.0.0/8/8", .badLength(0...32)),
            ("10.0.0.0/255.0.0.0", .badLength(0...32)), ("::/129", .badLength(0...128)),
            ("10.0.0.1/8", .goesOn(network: "10.0.0.0/8")), ("1.2.3.4/0", .goesOn(network: "0.0.0.0/0")),
            ("fd00::1/8", .goesOn(network: "fd00::/8")),
        ] as [(String, IPNetwork.Flaw)]
    )
    func whatIsNoNetworkIsRefused(text: String, flaw: IPNetwork.Flaw) {
        #expect(throws: flaw) { try IPNetwork(text) }
    }

    @Test func everyBadEntryIsNamed() throws {
        let failure = try #require(throws: SettingFailure.self) {
            try TrustedProxies(["10.0.0.0/8", "proxy", "::1/200", "10.0.0.1/8"])
        }
        #expect(failure.problems.count == 3)
        for entry in ["\"proxy\"", "\"::1/200\"", "\"10.0.0.1/8\""] { #expect(failure.description.contains(entry)) }
    }

    private static let trusted = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"]

    @Test(
        arguments: [
            // An other end that is not trusted has the last word.
            ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"), ("203.0.113.9", [], "203.0.113.9"),
            ("::1", ["1.1.1.1"], "::1"),
            ("local", ["1.1.1.1"], "local"), ("::FFFF:203.0.113.9", [], "203.0.113.9"),
            // One that is trusted tells of the one before it.
            ("10.0.0.1", [], "10.0.0.1"), ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"), ("fd00::1", ["2001:DB8::1"], "2001:db8::1"),
            ("10.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", ["6.6.6.6, 203.0.113.9, 192.0.2.1,10.9.9.9"], "203.0.113.9"),
            ("10.0.0.1", ["6.6.6.6, ::ffff:10.0.0.2"], "6.6.6.6"),
            // Where all are trusted the farthest counts.
            ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Several fields are one list.
            ("10.0.0.1", ["6.6.6.6, 203.0.113.9", "10.0.0.3", "10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", ["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
            // An entry that says nothing ends the walk.
            ("10.0.0.1", ["unknown"], "10.0.0.1"), ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"), ("10.0.0.1", ["1.1.1.1 2.2.2.2"], "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1", "01.2.3.4"], "10.0.0.1"), ("10.0.0.1", ["fe80::1%eth0"], "10.0.0.1"),
            ("10.0.0.1", ["unknown, 203.0.113.9"], "203.0.113.9"),
            // Empty entries and blanks are nothing.
            ("10.0.0.1", [""], "10.0.0.1"), ("10.0.0.1", [", ,"], "10.0.0.1"),
            ("10.0.0.1", ["\t203.0.113.9 ,, \t"], "203.0.113.9"),
            // Ports and brackets.
            ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"), ("10.0.0.1", ["6.6.6.6, 10.0.0.2:80"], "6.6.6.6"),
            ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"), ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", ["::1:80"], "::1:80"), ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", ["203.0.113.9:"], "10.0.0.1"), ("10.0.0.1", ["203.0.113.9:65536"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.9:1:2"], "10.0.0.1"), ("10.0.0.1", ["[203.0.113.9]"], "10.0.0.1"),
            ("10.0.0.1", ["[2001:db8::1"], "10.0.0.1"), ("10.0.0.1", ["[2001:db8::1]80"], "10.0.0.1"),
            ("10.0.0.1", ["[]"], "10.0.0.1"), ("10.0.0.1", ["[[::1]]"], "10.0.0.1"),
            ("10.0.0.1", ["\"[::1]\""], "10.0.0.1"),
        ] as [(String, [String], String)]
    )
    func theClientIsTheNearestThatIsNotTrusted(peer: String, forwardedFor: [String], client: String) throws {
        let proxies = try TrustedProxies(Self.trusted)
        #expect(proxies.clientAddress(peer: peer, forwardedFor: forwardedFor) == client)
    }

    @Test func nobodyIsTrustedUnlessConfigured() throws {
        for proxies in [TrustedProxies.none, try TrustedProxies([])] {
            #expect(proxies.clientAddress(peer: "127.0.0.1", forwardedFor: ["1.1.1.1"]) == "127.0.0.1")
        }
    }

    // MARK: over HTTP

    private static let forwardedFor = HTTPField.Name("X-Forwarded-For").unsafelyUnwrapped

    /// - Returns: the status of a sign-in with a wrong password, for an account of its own.
    private static func fail(_ server: TestServer, account: Int, peer: String, _ forwarded: String...) async throws
        -> Int
    {
        var headers = HTTPFields()
        headers[values: forwardedFor] = forwarded
        let body: JSONValue = ["email": .string("nobody\(account)@x.example"), "password": "wrong-password"]
        return try await server.send(
            .post,
            "/api/_platform/auth/login",
            headers: headers,
            body: body.jsonBytes,
            peer: peer
        ).status
    }

    @Test func failedSignInsCountForTheClientBehindATrustedProxy() async throws {
        var settings = AppSettings()
        settings.loginLimits.perAddress = 2
        var trusting = ServerSettings()
        trusting.trustedProxies = try TrustedProxies(["10.0.0.0/8"])
        try await TestServer.run(.sqlite, settings: settings, server: trusting) { server async throws in
            #expect(try await Self.fail(server, account: 1, peer: "10.0.0.1", "203.0.113.7") == 401)
            #expect(try await Self.fail(server, account: 2, peer: "10.0.0.2", "6.6.6.6, 203.0.113.7:99") == 401)
            // Whatever the client writes before its address, and whichever proxy it comes by.
            #expect(try await Self.fail(server, account: 3, peer: "10.0.0.3", "7.7.7.7", "203.0.113.7") == 429)
            #expect(try await Self.fail(server, account: 4, peer: "203.0.113.7") == 429)
            #expect(try await Self.fail(server, account: 5, peer: "10.0.0.1", "203.0.113.8") == 401)
            // Who is not trusted can neither blame another nor hide.
            #expect(try await Self.fail(server, account: 6, peer: "198.51.100.1", "203.0.113.7") == 401)
            #expect(try await Self.fail(server, account: 7, peer: "198.51.100.1", "1.1.1.1") == 401)
            #expect(try await Self.fail(server, account: 8, peer: "198.51.100.1", "1.1.1.2") == 429)
        }
    }

    @Test func theHeaderSaysNothingWhereNobodyIsTrusted() async throws {
        var settings = AppSettings()
        settings.loginLimits.perAddress = 2
        try await TestServer.run(.sqlite, settings: settings) { server async throws in
            for account in 1...3 {
                let status = try await Self.fail(server, account: account, peer: "10.0.0.1", "203.0.113.\(account)")
                #expect(status == (account <= 2 ? 401 : 429))
            }
        }
    }
}
