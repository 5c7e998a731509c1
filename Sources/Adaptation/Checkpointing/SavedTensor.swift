internal import Checkpoints
package import Torch

/// A tensor that a run needs to go on after a step, made when it is written, so that one is in memory at a time.
package struct SavedTensor {
  let name: String
  let shape: [Int]
  let dtype: DType
  let make: () throws -> Tensor

  package init(_ name: String, shape: [Int], _ dtype: DType, _ make: @escaping () throws -> Tensor) {
    self.name = name
    self.shape = shape
    self.dtype = dtype
    self.make = make
  }

  /// - Parameter tensor: must not change before it is written.
  package init(_ name: String, _ tensor: Tensor) {
    self.init(name, shape: tensor.shape, tensor.dtype) { tensor }
  }
}

/// The tensors that a run has kept, read one by one.
package struct SavedTensors {
  private let file: SafetensorsFile

  init(_ file: SafetensorsFile) { self.file = file }

  /// A fresh tensor on the device; nil where there is none of the name.
  package func tensor(_ name: String, on device: Device) throws -> Tensor? {
    guard file.contains(name) else { return nil }
    let description = try file.description(of: name)
    let tensor = try Tensor.empty(description.shape, description.dtype)
    try tensor.withBytes { try file.readBytes(of: name, range: 0..<description.byteCount, into: $0) }
    return device == .cpu ? tensor : try tensor.converted(on: device)
  }

  /// Copies a kept tensor over one in memory; false where there is none of the name.
  package func restore(_ name: String, into target: Tensor) throws -> Bool {
    guard let saved = try tensor(name, on: target.device) else { return false }
    guard saved.shape == target.shape else {
      throw RunCheckpointError.tensorDoesNotFit(
        path: file.path, tensor: name, expected: target.shape, found: saved.shape)
    }
    try target.copy(from: saved)
    return true
  }

  /// - Throws: ``RunCheckpointError/tensorMissing(path:tensor:)`` where there is none of the name.
  package func restoreRequired(_ name: String, into target: Tensor) throws {
    guard try restore(name, into: target) else { throw RunCheckpointError.tensorMissing(path: file.path, tensor: name) }
  }
}
