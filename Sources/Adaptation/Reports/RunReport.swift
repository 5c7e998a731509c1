internal import Checkpoints
import Foundation

/// All that a run's `report.html` shows. Everything but the title may be left empty; its section is then left out.
public struct RunReport: Codable, Equatable, Sendable {
  public struct Setting: Codable, Equatable, Sendable {
    public var name: String
    public var value: String
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// A phase's loss over its steps.
  public struct Curve: Codable, Equatable, Sendable {
    public var name: String
    public var steps: [Int]
    /// The objective, null where it was not a number.
    public var loss: [Double?]
    public var tokenLoss: [Double?]
    public init(name: String, records: [MetricsRecord]) {
      self.name = name
      steps = records.map(\.step)
      loss = records.map { $0.loss.isFinite ? $0.loss : nil }
      tokenLoss = records.map { $0.tokenLoss.isFinite ? $0.tokenLoss : nil }
    }
    /// Of held-out rows, which have no objective.
    public init(name: String, steps: [Int], tokenLoss: [Double]) {
      self.name = name
      self.steps = steps
      loss = steps.map { _ in nil }
      self.tokenLoss = tokenLoss.map { $0.isFinite ? $0 : nil }
    }
  }

  /// The share of weights that are trained: a row a layer, a column a projection.
  public struct Density: Codable, Equatable, Sendable {
    public var columns: [String]
    public var rows: [String]
    /// Fractions, `values[row][column]`; null where a layer has no such matrix.
    public var values: [[Double?]]
    public init(columns: [String], rows: [String], values: [[Double?]]) {
      self.columns = columns
      self.rows = rows
      self.values = values
    }
  }

  public struct Size: Codable, Equatable, Sendable {
    public var name: String
    public var bytes: Int
    public init(name: String, bytes: Int) {
      self.name = name
      self.bytes = bytes
    }
  }

  public struct Duration: Codable, Equatable, Sendable {
    public var name: String
    public var seconds: Double
    /// Real tokens trained on, where the phase trains.
    public var tokens: Int?
    public init(name: String, seconds: Double, tokens: Int? = nil) {
      self.name = name
      self.seconds = seconds
      self.tokens = tokens
    }
  }

  /// Held-out results of one model.
  public struct Score: Codable, Equatable, Sendable {
    public var name: String
    /// Mean of -log p over the held-out labels.
    public var tokenLoss: Double?
    public var exact: Int
    public var total: Int
    public init(name: String, tokenLoss: Double?, exact: Int, total: Int) {
      self.name = name
      self.tokenLoss = tokenLoss
      self.exact = exact
      self.total = total
    }
  }

  public struct Sample: Codable, Equatable, Sendable {
    public var prompt: String
    public var expected: String
    public var before: String
    public var after: String
    public var beforeIsExact: Bool
    public var afterIsExact: Bool
    public init(
      prompt: String, expected: String, before: String, after: String, beforeIsExact: Bool, afterIsExact: Bool
    ) {
      self.prompt = prompt
      self.expected = expected
      self.before = before
      self.after = after
      self.beforeIsExact = beforeIsExact
      self.afterIsExact = afterIsExact
    }
  }

  public var title: String
  /// A sentence under the title.
  public var summary = ""
  public var configuration: [Setting] = []
  public var curves: [Curve] = []
  /// A curve a file of held-out rows.
  public var heldOut: [Curve] = []
  public var settling: SettlingReport?
  public var density: Density?
  public var sizes: [Size] = []
  public var durations: [Duration] = []
  public var peakMemoryBytes: Int?
  /// In the order of the work: before, after.
  public var scores: [Score] = []
  public var samples: [Sample] = []

  public init(title: String) { self.title = title }

  /// Writes the page atomically. Throws: ``ReportError/unwritable(path:reason:)``.
  public func write(to path: String) throws {
    try ReportError.wrapping(path) { try FileSystem.writeAtomically(html, to: path) }
  }
}
