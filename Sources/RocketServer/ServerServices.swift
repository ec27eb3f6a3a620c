package import Logging
package import RocketEngine

/// What every route has at hand: one reference for a request to carry.
package final class ServerServices: Sendable {
    package let apps: AppRegistry
    package let tokens: AccessTokens
    package let settings: ServerSettings
    package let secretBox: SecretBox
    package let calls: SynchronousCalls
    package let metrics: PrometheusRegistry
    let uploads = UploadSlots()
    package var dependencies: EngineDependencies { apps.dependencies }
    package var logger: Logger { apps.dependencies.logger }

    package init(
        apps: AppRegistry,
        secrets: Secrets,
        settings: ServerSettings,
        caller: any OutsideCaller,
        metrics: PrometheusRegistry
    ) {
        self.apps = apps
        self.settings = settings
        self.metrics = metrics
        secretBox = SecretBox(secrets)
        calls = SynchronousCalls(
            caller: caller,
            limit: settings.synchronousCallLimit,
            perApp: settings.waitingWrites.perApp,
            total: settings.waitingWrites.total
        )
        tokens = AccessTokens(secrets: secrets, dependencies: apps.dependencies)
    }
}
