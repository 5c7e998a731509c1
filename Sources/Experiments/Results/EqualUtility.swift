/// Sequences of two tasks compared at equal utility of the second one: what the first has lost by then.
///
/// A method that learns less of task B also disturbs less of task A, so a comparison at equal rates or equal steps favours the
/// one that does little. Here every trained path (all values of chosen settings, all scores on the way) is read at the same
/// development loss on B, and the best point of a stage counts.
public struct EqualUtility: Equatable, Sendable {
  /// A point on the way of a training run: losses a label on development rows.
  public struct Point: Equatable, Sendable {
    public let second: Double
    public let first: Double
  }

  public struct Sequence: Equatable, Sendable {
    public let title: String
    public let firstTask: String
    public let secondTask: String
    /// A path a run; each begins with the model that it went on from.
    public let paths: [[Point]]
  }

  public let sequences: [Sequence]

  /// - Parameter results: of a plan with a table and a curve; sequences without curves are left out.
  public init(_ results: ExperimentResults) {
    sequences = results.plan.table.compactMap { Self.sequence($0, results) }
  }

  init(sequences: [Sequence]) { self.sequences = sequences }

  private static func sequence(_ row: ExperimentPlan.TableRow, _ results: ExperimentResults) -> Sequence? {
    guard let first = results.plan.stage(row.first)?.task, let second = results.plan.stage(row.second)?.task else {
      return nil
    }
    var paths: [[Point]] = []
    func add(_ record: StageRecord, instance: Int) {
      guard let parent = results.graph.instances[instance].parent, let start = results.records[parent],
        let firstStart = start.finalLoss(of: first), let secondStart = start.finalLoss(of: second)
      else { return }
      let path = record.curve.filter { $0.task == second }.compactMap { point in
        record.curve.first { $0.task == first && $0.step == point.step }.map {
          Point(second: point.tokenLoss, first: $0.tokenLoss)
        }
      }
      if !path.isEmpty { paths.append([Point(second: secondStart, first: firstStart)] + path) }
    }
    for (index, record) in results.records.sorted(by: { $0.key < $1.key }) where record.stage == row.second {
      add(record, instance: index)
      for candidate in results.candidates where candidate.instance == index && candidate.record != record {
        add(candidate.record, instance: index)
      }
    }
    return paths.isEmpty ? nil : Sequence(title: row.title, firstTask: first, secondTask: second, paths: paths)
  }

  /// Losses on the second task that every sequence reaches, from the least progress to the most.
  public var levels: [Double] {
    let starts = sequences.compactMap { sequence in sequence.paths.map { $0[0].second }.max() }
    let ends = sequences.compactMap { sequence in sequence.paths.joined().map(\.second).min() }
    guard let start = starts.min(), let end = ends.max(), end < start else { return [] }
    return [0.25, 0.5, 0.75, 1].map { start + $0 * (end - start) }
  }
}

extension EqualUtility.Sequence {
  /// The least loss on the first task, and the least rise of it, at a loss on the second one; between two scores on the
  /// way it is interpolated. nil where no path gets there.
  public func firstLoss(at second: Double) -> (loss: Double, rise: Double)? {
    paths.compactMap { path -> (loss: Double, rise: Double)? in
      zip(path, path.dropFirst()).compactMap { from, to -> Double? in
        guard (min(from.second, to.second)...max(from.second, to.second)).contains(second) else { return nil }
        let share = from.second == to.second ? 1 : (second - from.second) / (to.second - from.second)
        return from.first + share * (to.first - from.first)
      }.min().map { ($0, $0 - path[0].first) }
    }.min { $0.rise < $1.rise }
  }
}
