/// Rows of earlier tasks, mixed into the data against forgetting (the paper's "mixed").
public struct ReplaySettings: Codable, Equatable, Sendable {
  public static let defaultFraction = 0.1

  /// Files of rows.
  public var files: [String] = []
  /// Share of each file's usable rows that is taken, in `0 < f <= 1`, rounded to the nearest row, at least one.
  public var fraction = Self.defaultFraction
  /// How many rows of each file were taken; a run fills this in.
  public var rows: [Int] = []

  public init() {}

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  func validate(shuffles: Bool) throws {
    guard fraction > 0, fraction <= 1 else {
      throw TrainingError.invalidOption(
        name: "replay-fraction", value: "\(fraction)", expected: "above 0 and at most 1")
    }
    guard shuffles || files.isEmpty else {
      throw TrainingError.invalidOption(
        name: "no-shuffle", value: "set", expected: "left out with --replay, whose rows are shuffled among the others")
    }
  }
}
