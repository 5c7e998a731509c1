internal import Checkpoints
package import Decoder
internal import Tickets
internal import Torch

/// Tensors in memory as a source for ticket selection. The tensors must not change while it is read.
package struct LiveWeights: WeightSource, @unchecked Sendable {
  // Sendable: reading is the only use, and libtorch allows concurrent reads.
  private let tensors: [String: Tensor]

  package init(_ model: LanguageModel) {
    tensors = Dictionary(model.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  init(_ tensors: [String: Tensor]) { self.tensors = tensors }

  package func shape(of name: String) throws -> [Int] { try tensor(name).shape }

  package func readFloats(of name: String, range: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>) throws {
    let part = try tensor(name).flattened().rows(range).converted(to: .float32, on: .cpu)
    try part.withBytes { bytes in
      _ = buffer.update(fromContentsOf: bytes.bindMemory(to: Float.self))
    }
  }

  package func withFloats<Result>(
    of name: String, range: Range<Int>, scratch: UnsafeMutableBufferPointer<Float>,
    _ body: (UnsafePointer<Float>) throws -> Result
  ) throws -> Result {
    let tensor = try tensor(name)
    if tensor.dtype == .float32, tensor.device == .cpu, tensor.isContiguous {
      return try tensor.withBytes { bytes in
        guard let start = bytes.bindMemory(to: Float.self).baseAddress else { throw Self.missing(name) }
        return try body(UnsafePointer(start + range.lowerBound))
      }
    }
    try readFloats(of: name, range: range, into: scratch)
    guard let start = scratch.baseAddress else { throw Self.missing(name) }
    return try body(UnsafePointer(start))
  }

  private func tensor(_ name: String) throws -> Tensor {
    guard let tensor = tensors[name] else { throw Self.missing(name) }
    return tensor
  }

  private static func missing(_ name: String) -> CheckpointError {
    .tensorNotFound(name: name, path: "the model in memory")
  }
}
