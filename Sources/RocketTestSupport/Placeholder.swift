enum PlaceholderRocketTestSupport {}
