package import Decoder
package import Tickets
package import Torch

/// Weights of earlier tickets, which training of whole parameters has to leave as they are, bit for bit.
///
/// Their gradient is set to zero before its norm is taken: they count for nothing, and without moments no optimizer moves
/// them. On the CPU their places are the mask's bits; a device gets an index for each, four bytes.
package final class ExcludedWeights {
  private let mask: Mask
  private var indices: [String: Tensor] = [:]

  package init(_ mask: Mask) { self.mask = mask }

  /// Sets their entries of a parameter's gradient to zero.
  package func clear(_ gradient: Tensor, of name: String) throws {
    guard let bits = mask[name]?.bits else { return }
    if gradient.device == .cpu, gradient.isContiguous {
      try gradient.withBytes { Self.clear($0, elementBytes: gradient.dtype.byteCount, at: bits) }
    } else if let places = try places(name, bits, on: gradient.device) {
      try gradient.scatter(try Tensor.zeros(places.shape, gradient.dtype, on: gradient.device), at: places)
    }
  }

  /// Runs an update that moves weights without a gradient too, as weight decay does, and puts theirs back.
  package func keep(_ parameter: Parameter, _ update: () throws -> Void) throws {
    let value = parameter.value
    guard let bits = mask[parameter.name]?.bits, let places = try places(parameter.name, bits, on: value.device) else {
      return try update()
    }
    let held = try Tensor.empty(places.shape, value.dtype, on: value.device)
    try held.gather(from: value, at: places)
    try update()
    try value.scatter(held, at: places)
  }

  /// Bytes of indices on a device.
  package static func byteCount(excluded: Int) -> Int { excluded * DType.int32.byteCount }

  private func places(_ name: String, _ bits: BitMask, on device: Device) throws -> Tensor? {
    if let held = indices[name] { return held }
    let numbers = bits.int32Indices
    guard !numbers.isEmpty else { return nil }
    let places = try Tensor.from(numbers, on: device)
    if device != .cpu { indices[name] = places }
    return places
  }

  private static func clear(_ bytes: UnsafeMutableRawBufferPointer, elementBytes: Int, at bits: BitMask) {
    precondition(bytes.count == bits.count * elementBytes, "\(bytes.count) bytes for \(bits.count) weights")
    guard let start = bytes.baseAddress else { return }
    func zero<Element: BitwiseCopyable & ExpressibleByIntegerLiteral>(_ type: Element.Type) {
      let elements = start.assumingMemoryBound(to: type)
      bits.forEachSetIndex { elements[$0] = 0 }
    }
    switch elementBytes {
    case 2: zero(UInt16.self)
    case 4: zero(UInt32.self)
    default: zero(UInt64.self)
    }
  }
}

extension OptimizerSettings {
  /// Whether a weight moves even when its gradient has always been zero.
  var movesWithoutGradient: Bool {
    if case .adamW(_, _, _, let weightDecay) = self { weightDecay > 0 } else { false }
  }
}
