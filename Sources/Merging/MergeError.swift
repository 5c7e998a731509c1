public import Foundation

/// Why a merge was refused.
public enum MergeError: Error, Equatable, Sendable {
  /// A recipe file that cannot be understood.
  case invalidRecipe(path: String, line: Int, reason: String)
  case unknownMethod(String, known: [String])
  /// All that is wrong with the recipe or its inputs.
  case inputsDoNotFit([String])
  case parameter(name: String, tensor: String, problem: String)
  case notFinite(tensor: String, index: Int, input: String)
  /// The result changes weights outside all tickets.
  case notSparse(reason: String)
  case nothingChanged
  /// A directory of results of other inputs.
  case otherSearch(path: String)
  case unreadableSearch(path: String, line: Int, reason: String)
  /// Another process searches in the directory.
  case searchInUse(path: String)
  case noFiniteScore
}

extension MergeError: CustomStringConvertible, LocalizedError {
  public var errorDescription: String? { description }

  public var description: String {
    switch self {
    case .invalidRecipe(let path, let line, let reason): "\(path):\(line): \(reason)"
    case .unknownMethod(let name, let known):
      "no merge method is called '\(name)': use \(known.joined(separator: ", "))"
    case .inputsDoNotFit(let problems):
      problems.count == 1
        ? "cannot merge: \(problems[0])"
        : "cannot merge, \(problems.count) problems: \(problems.joined(separator: "; "))"
    case .parameter(let name, let tensor, let problem): "\(name) of tensor \(tensor) \(problem)"
    case .notFinite(let tensor, let index, let input):
      "\(input): tensor \(tensor) has a weight or change that is not finite at index \(index): repair or leave out this model"
    case .notSparse(let reason): "the result is no sparse adapter: \(reason); write a model instead (--out)"
    case .otherSearch(let path):
      "\(path): it holds a search over other inputs, rows or options: use another directory, or remove this one"
    case .unreadableSearch(let path, let line, let reason):
      "\(path):\(line): not a line of a search: \(reason); remove it, and only that candidate is merged again"
    case .searchInUse(let path): "\(path): another search is at work here; wait for its end or use another directory"
    case .noFiniteScore: "no candidate has a finite score: look at the inputs and the rows"
    case .nothingChanged: "the merged adapter would change nothing: look at the weights of the recipe"
    }
  }
}
