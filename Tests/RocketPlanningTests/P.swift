import Testing

@Test func placeholderPlanning() {}
