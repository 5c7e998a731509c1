/// How often a run keeps what it needs to go on. Decides nothing of its result.
public struct CheckpointSchedule: Equatable, Sendable {
  /// Steps from one checkpoint to the next; nil: by time alone.
  public var everySteps: Int?
  /// Minutes from one to the next; nil: by steps alone.
  public var everyMinutes: Double? = Self.defaultMinutes

  public static let defaultMinutes = 30.0
  /// Files that stay: the newest, and the one before in case that cannot be read.
  static let keptCount = 2

  public init() {}

  /// - Throws: ``TrainingError/invalidOption(name:value:expected:)``
  func validate() throws {
    if let everySteps, !(1...1_000_000_000).contains(everySteps) {
      throw TrainingError.invalidOption(name: "save-every", value: "\(everySteps)", expected: "at least 1")
    }
    if let everyMinutes, !(everyMinutes > 0 && everyMinutes.isFinite) {
      throw TrainingError.invalidOption(name: "save-minutes", value: "\(everyMinutes)", expected: "a positive number")
    }
  }

  func isDue(step: Int, sinceLast elapsed: Duration) -> Bool {
    if let everySteps, step % everySteps == 0 { return true }
    return everyMinutes.map { elapsed >= .seconds($0 * 60) } ?? false
  }
}
