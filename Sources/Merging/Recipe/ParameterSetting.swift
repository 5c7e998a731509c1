/// A parameter of a recipe: a value, values along the layers, or values by tensor name.
public indirect enum ParameterSetting: Equatable, Sendable {
  case number(Double)
  case flag(Bool)
  case text(String)
  /// Interpolated over the layers, from the first to the last. Tensors outside the layers get the first value.
  case gradient([Double])
  /// The first whose filter is part of the tensor's name; a filter of nil or `*` fits all.
  case conditional([(filter: String?, value: ParameterSetting)])

  public static func == (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.number(let left), .number(let right)): left == right
    case (.flag(let left), .flag(let right)): left == right
    case (.text(let left), .text(let right)): left == right
    case (.gradient(let left), .gradient(let right)): left == right
    case (.conditional(let left), .conditional(let right)): left.elementsEqual(right) { $0 == $1 }
    default: false
    }
  }

  /// What it says of one tensor, nil when no filter fits.
  ///
  /// - Parameter position: place of the tensor's layer, from 0 for the first to 1 for the last; 1 where there is one layer, and 0
  ///   outside the layers.
  func value(of tensor: String, position: Double) -> ParameterSetting? {
    switch self {
    case .number, .flag, .text: return self
    case .gradient(let values):
      guard let last = values.last else { return nil }
      let scaled = position * Double(values.count - 1)
      let lower = Int(scaled)
      guard lower + 1 < values.count else { return .number(last) }
      let share = scaled - Double(lower)
      return .number((1 - share) * values[lower] + share * values[lower + 1])
    case .conditional(let cases):
      for (filter, value) in cases where filter == nil || filter == "*" || tensor.contains(filter ?? "") {
        return value.value(of: tensor, position: position)
      }
      return nil
    }
  }
}
