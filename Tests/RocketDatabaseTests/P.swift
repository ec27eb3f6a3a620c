import Testing
@Test func placeholderDatabase() {}
