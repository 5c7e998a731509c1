internal import Checkpoints

/// A merge with numbers to be found: every combination of the values given is merged and scored, and the best one counts.
public struct MergeSearch: Equatable, Sendable {
  /// A number to be found, and the values that it may have.
  public struct Axis: Equatable, Sendable {
    /// As a recipe names it: `density`, `weight`, `lambda`.
    public let parameter: String
    /// The input that it belongs to, by name; nil: all of them.
    public let input: String?
    public let values: [Double]

    public init(_ parameter: String, input: String? = nil, values: [Double]) {
      self.parameter = parameter
      self.input = input
      self.values = values
    }

    public var name: String { input.map { "\(parameter) \($0)" } ?? parameter }
  }

  /// Which score is best.
  public enum Goal: String, Codable, Sendable { case least, greatest }

  public struct Candidate: Equatable, Sendable {
    /// Values by the names of their axes.
    public let settings: [String: Double]
    public let recipe: MergeRecipe
  }

  /// Without the numbers to be found.
  public let recipe: MergeRecipe
  /// Of the recipe's inputs.
  public let names: [String]
  public let axes: [Axis]
  public let goal: Goal

  /// - Throws: ``MergeError/inputsDoNotFit(_:)`` with all that is wrong with names and values.
  public init(_ recipe: MergeRecipe, names: [String], axes: [Axis], goal: Goal) throws {
    self.recipe = recipe
    self.names = names
    self.axes = axes
    self.goal = goal
    let problems = problems()
    guard problems.isEmpty else { throw MergeError.inputsDoNotFit(problems) }
  }

  /// Parameters that are shares.
  private static let shares: Set<String> = ["density", "gamma", "epsilon", "t"]

  private func problems() -> [String] {
    var problems: [String] = []
    for (position, name) in names.enumerated() where names[..<position].contains(name) {
      problems.append("two inputs are called '\(name)'")
    }
    for (position, axis) in axes.enumerated() {
      if axes[..<position].contains(where: { $0.name == axis.name }) { problems.append("\(axis.name) is given twice") }
      if let input = axis.input, !names.contains(input) {
        problems.append("\(axis.parameter): no input is called '\(input)': they are \(names.joined(separator: ", "))")
      }
      if axis.values.isEmpty { problems.append("\(axis.name) has no values") }
      if Set(axis.values).count < axis.values.count { problems.append("\(axis.name) has a value twice") }
      for value in axis.values
      where !value.isFinite || (Self.shares.contains(axis.parameter) && !(0...1).contains(value)) {
        problems.append("\(axis.name) is \(value): use \(value.isFinite ? "0 to 1" : "a number")")
      }
    }
    if !axes.contains(where: { $0.values.count > 1 }) {
      problems.append("there is nothing to search: give several values")
    }
    return problems
  }

  /// Every combination, the values of the first axis outermost.
  public var candidates: [Candidate] {
    axes.reduce([Candidate(settings: [:], recipe: recipe)]) { candidates, axis in
      candidates.flatMap { candidate in
        axis.values.map { value in
          var recipe = candidate.recipe
          if let position = axis.input.flatMap(names.firstIndex) {
            recipe.inputs[position].parameters[axis.parameter] = .number(value)
          } else {
            recipe.parameters[axis.parameter] = .number(value)
          }
          return Candidate(settings: candidate.settings.merging([axis.name: value]) { $1 }, recipe: recipe)
        }
      }
    }
  }

  /// The better of what has been scored; the first of equal ones. nil without a finite score.
  public func best(of records: [SearchRecord]) -> SearchRecord? {
    let finite = records.filter { $0.objective?.isFinite == true }
    return finite.enumerated().min { left, right in
      let (one, other) = (left.element.objective ?? 0, right.element.objective ?? 0)
      let isBetter = goal == .least ? one < other : one > other
      return isBetter || (one == other && left.offset < right.offset)
    }?.element
  }

  /// Scores all candidates that an earlier run has not. Each is recorded as soon as it is known.
  ///
  /// - Parameters:
  ///   - log: of this search.
  ///   - score: scores of a candidate by label, and the seconds that merging and scoring took.
  ///   - observe: called after each candidate.
  /// - Returns: a record a candidate, in their order.
  public func run(
    _ log: SearchLog, score: (Candidate) throws -> SearchRecord,
    observe: (_ number: Int, _ record: SearchRecord, _ isNew: Bool) throws -> Void
  ) throws -> [SearchRecord] {
    try candidates.enumerated().map { index, candidate in
      if let known = log.record(candidate.settings) {
        try observe(index + 1, known, false)
        return known
      }
      let record = try score(candidate)
      try log.append(record)
      try observe(index + 1, record, true)
      return record
    }
  }
}

extension Merge {
  /// Writes an adapter where all inputs are LoTA adapters and the method allows it, else a model.
  ///
  /// - Returns: whether it is an adapter.
  public func writeSmallest(to directory: String, progress: ((Progress) -> Void)? = nil) throws -> Bool {
    if obstacleToSparse == nil {
      do {
        try writeAdapter(to: directory)
        return true
      } catch MergeError.nothingChanged {
        // With weights of zero the result is the base itself.
      }
    }
    try writeModel(to: directory, progress: progress)
    return false
  }
}
