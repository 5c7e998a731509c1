public import Torch

/// What to merge, and how.
public struct MergeRecipe: Equatable, Sendable {
  /// A model, or an adapter of the base.
  public struct Input: Equatable, Sendable {
    /// A model directory, a LoTA adapter's, or a PEFT LoRA adapter's.
    public var path: String
    /// Its own parameters, by name: `weight`, `density`, `gamma`, `epsilon`.
    public var parameters: [String: ParameterSetting]

    public init(_ path: String, parameters: [String: ParameterSetting] = [:]) {
      self.path = path
      self.parameters = parameters
    }
  }

  public var method: MergeMethod
  /// Model directory. Methods of task vectors need it, adapters too.
  public var base: String?
  public var inputs: [Input]
  /// Parameters for all inputs and for the whole: those above, `normalize`, `rescale`, `lambda`, `t`.
  public var parameters: [String: ParameterSetting]
  /// Element type of the result. Default: the base's, tensor by tensor.
  public var dtype: DType?
  /// Where tokenizer and configuration come from: a model directory. Default: the base, or the first model.
  public var tokenizerSource: String?
  /// Of random masks; each tensor of each input has a stream of its own.
  public var seed: UInt64

  public init(
    method: MergeMethod, base: String? = nil, inputs: [Input], parameters: [String: ParameterSetting] = [:],
    dtype: DType? = nil, tokenizerSource: String? = nil, seed: UInt64 = 0
  ) {
    self.method = method
    self.base = base
    self.inputs = inputs
    self.parameters = parameters
    self.dtype = dtype
    self.tokenizerSource = tokenizerSource
    self.seed = seed
  }

  /// All that is wrong with the recipe by itself.
  func problems() -> [String] {
    var problems: [String] = []
    if inputs.isEmpty { problems.append("it lists no models") }
    if method.needsBase, base == nil { problems.append("\(method.name) needs a base_model") }
    var seen: Set<String> = []
    for input in inputs where !seen.insert(input.path).inserted {
      problems.append("\(input.path) is listed twice")
    }
    if method.combination == .spherical, tunedInputs.count != 1 {
      problems.append("slerp goes from the base to one other model, and \(tunedInputs.count) are listed")
    }
    let shared = method.sharedParameters.union(method.inputParameters)
    for name in parameters.keys.sorted() where !shared.contains(name) {
      problems.append("\(method.name) has no parameter '\(name)': it takes \(shared.sorted().joined(separator: ", "))")
    }
    for input in inputs {
      for name in input.parameters.keys.sorted() where !method.inputParameters.contains(name) {
        problems.append("\(input.path): \(method.name) takes no '\(name)' for a model")
      }
    }
    if method.combination == .spherical, parameters["t"] == nil { problems.append("slerp needs the parameter t") }
    return problems
  }

  /// The recipe with a directory in place of each name of a model: base, inputs and the tokenizer's source.
  ///
  /// - Parameter locate: gives a name's directory, and leaves directories as they are.
  public func located(by locate: (String) throws -> String) rethrows -> MergeRecipe {
    var located = self
    located.base = try base.map(locate)
    for position in inputs.indices { located.inputs[position].path = try locate(inputs[position].path) }
    located.tokenizerSource = try tokenizerSource.map(locate)
    return located
  }

  /// Those that are not the base.
  var tunedInputs: [Input] { inputs.filter { $0.path != base } }
}
