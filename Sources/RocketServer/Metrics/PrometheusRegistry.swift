package import CoreMetrics
import Synchronization

/// Keeps what is counted and measured, and writes it in Prometheus' text format
/// (https://prometheus.io/docs/instrumenting/exposition_formats/). The package that others use for it is not on the
/// machines of this project; the instruments are swift-metrics' own.
package final class PrometheusRegistry: MetricsFactory {
    private struct Series: Hashable {
        let label: String
        let dimensions: [Dimension]
    }

    private struct Dimension: Hashable {
        let name: String
        let value: String
    }

    private enum Instrument: Sendable {
        case count(Count)
        case level(Level)
        case spread(Spread)

        var type: String {
            switch self {
            case .count: "counter"
            case .level: "gauge"
            case .spread: "histogram"
            }
        }
    }

    private let instruments = Mutex<[Series: Instrument]>([:])

    package init() {}

    /// The instrument of a series: the one that is there, or a new one. One of another type is not shown.
    private func instrument<Kind: Sendable>(
        _ label: String,
        _ dimensions: [(String, String)],
        _ make: () -> (Kind, Instrument),
        _ kind: (Instrument) -> Kind?
    ) -> Kind {
        let series = Series(label: label, dimensions: dimensions.map { Dimension(name: $0.0, value: $0.1) })
        return instruments.withLock { instruments in
            if let known = instruments[series].flatMap(kind) { return known }
            let (new, instrument) = make()
            if instruments[series] == nil { instruments[series] = instrument }
            return new
        }
    }

    private func count(_ label: String, _ dimensions: [(String, String)]) -> Count {
        instrument(label, dimensions) {
            let new = Count()
            return (new, .count(new))
        } _: {
            if case .count(let count) = $0 { count } else { nil }
        }
    }

    private func level(_ label: String, _ dimensions: [(String, String)]) -> Level {
        instrument(label, dimensions) {
            let new = Level()
            return (new, .level(new))
        } _: {
            if case .level(let level) = $0 { level } else { nil }
        }
    }

    private func spread(_ label: String, _ dimensions: [(String, String)]) -> Spread {
        instrument(label, dimensions) {
            let new = Spread()
            return (new, .spread(new))
        } _: {
            if case .spread(let spread) = $0 { spread } else { nil }
        }
    }

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        count(label, dimensions)
    }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)])
        -> any FloatingPointCounterHandler
    { level(label, dimensions) }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        level(label, dimensions)
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate { spread(label, dimensions) } else { level(label, dimensions) }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        spread(label, dimensions)
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    // MARK: text

    /// Every series, those of one name together.
    package func text() -> String {
        let all = instruments.withLock { $0 }
        var text = PrometheusText()
        for (label, series) in Dictionary(grouping: all, by: \.key.label).sorted(by: { $0.key < $1.key }) {
            text.family(label, type: series[0].value.type)
            let sorted = series.sorted {
                $0.key.dimensions.map(\.value).lexicographicallyPrecedes($1.key.dimensions.map(\.value))
            }
            for (key, instrument) in sorted {
                let dimensions = key.dimensions.map { ($0.name, $0.value) }
                switch instrument {
                case .count(let count): text.sample(label, dimensions, Double(count.value))
                case .level(let level): text.sample(label, dimensions, level.value)
                case .spread(let spread): text.histogram(label, dimensions, spread.value)
                }
            }
        }
        return text.text
    }
}

/// What only grows.
private final class Count: CounterHandler {
    private let count = Atomic<Int64>(0)

    var value: Int64 { count.load(ordering: .relaxed) }
    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { count.store(0, ordering: .relaxed) }
}

/// What goes up and down.
private final class Level: MeterHandler, RecorderHandler, FloatingPointCounterHandler {
    private let level = Mutex(0.0)

    var value: Double { level.withLock { $0 } }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { level.withLock { $0 = value } }
    func increment(by amount: Double) { level.withLock { $0 += amount } }
    func decrement(by amount: Double) { level.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func reset() { set(0.0) }
}

/// How long things take, in seconds.
private final class Spread: TimerHandler, RecorderHandler {
    private let histogram = Mutex(PrometheusText.Histogram())

    var value: PrometheusText.Histogram { histogram.withLock { $0 } }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) { histogram.withLock { $0.add(value) } }
}
