/// A recipe's parameters for one tensor, numbers checked.
struct TensorSettings: Equatable {
  struct Input: Equatable {
    var weight: Double
    var density: Double
    var gamma: Double
    var epsilon: Double
  }

  /// In the order of the inputs given.
  var inputs: [Input]
  var normalizes: Bool
  var rescale: MergeMethod.Rescale
  var lambda: Double
  /// Along the arc, 0 at the base.
  var arc: Double

  /// - Parameters:
  ///   - inputs: those that take part, of the recipe's.
  ///   - layerCount: of the model; gradients run over it.
  /// - Throws: ``MergeError/parameter(name:tensor:problem:)``
  init(_ recipe: MergeRecipe, inputs: [MergeRecipe.Input], tensor: String, layerCount: Int) throws {
    let position = Self.position(of: tensor, layerCount: layerCount)
    func setting(_ name: String, _ own: [String: ParameterSetting]?) -> ParameterSetting? {
      own?[name]?.value(of: tensor, position: position)
        ?? recipe.parameters[name]?.value(of: tensor, position: position)
    }
    func number(
      _ name: String, _ own: [String: ParameterSetting]? = nil, default standard: Double,
      in range: ClosedRange<Double>? = nil
    ) throws -> Double {
      guard let found = setting(name, own) else { return standard }
      guard case .number(let value) = found, value.isFinite else {
        throw MergeError.parameter(name: name, tensor: tensor, problem: "is \(found.summary), not a number")
      }
      guard range?.contains(value) ?? true else {
        throw MergeError.parameter(name: name, tensor: tensor, problem: "is \(value): use 0 to 1")
      }
      return value
    }
    func flag(_ name: String, default standard: Bool) throws -> Bool {
      guard let found = setting(name, nil) else { return standard }
      guard case .flag(let value) = found else {
        throw MergeError.parameter(name: name, tensor: tensor, problem: "is \(found.summary): use true or false")
      }
      return value
    }
    self.inputs = try inputs.map {
      Input(
        weight: try number("weight", $0.parameters, default: 1),
        density: try number("density", $0.parameters, default: 1, in: 0...1),
        gamma: try number("gamma", $0.parameters, default: 0.01, in: 0...1),
        epsilon: try number("epsilon", $0.parameters, default: 0.15, in: 0...1))
    }
    normalizes = try flag("normalize", default: recipe.method.normalizes)
    lambda = try number("lambda", default: 1)
    arc = try number("t", default: 0, in: 0...1)
    rescale = try Self.rescale(setting("rescale", nil), recipe.method, tensor)
    for input in self.inputs where recipe.method.sparsification == .magnitudeSampling && (0..<1).contains(input.density)
    {
      guard input.density == 0 || (input.density - input.epsilon > 0 && input.density + input.epsilon < 1) else {
        throw MergeError.parameter(
          name: "epsilon", tensor: tensor,
          problem:
            "is \(input.epsilon) beside a density of \(input.density): density +- epsilon must lie between 0 and 1")
      }
    }
  }

  private static func rescale(
    _ found: ParameterSetting?, _ method: MergeMethod, _ tensor: String
  ) throws -> MergeMethod.Rescale {
    switch found {
    case nil: return method.rescale
    case .flag(let isOn): return isOn ? .norm : .none
    case .text(let name):
      if let rescale = MergeMethod.Rescale(rawValue: name) { return rescale }
    default: break
    }
    throw MergeError.parameter(
      name: "rescale", tensor: tensor, problem: "is \(found?.summary ?? ""): use true, false, norm or probability")
  }

  /// 0 for the first layer and what belongs to none, 1 for the last.
  static func position(of tensor: String, layerCount: Int) -> Double {
    guard let layer = layer(of: tensor) else { return 0 }
    return layerCount > 1 ? min(1, Double(layer) / Double(layerCount - 1)) : 1
  }

  /// The number after `layers.` in a tensor's name.
  static func layer(of tensor: String) -> Int? {
    let parts = tensor.split(separator: ".")
    guard let position = parts.firstIndex(of: "layers"), position + 1 < parts.count else { return nil }
    return Int(parts[position + 1])
  }
}

extension ParameterSetting {
  var summary: String {
    switch self {
    case .number(let value): "\(value)"
    case .flag(let value): "\(value)"
    case .text(let value): "'\(value)'"
    case .gradient(let values): "\(values)"
    case .conditional: "a list of filters"
    }
  }
}
