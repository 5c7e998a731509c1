import Crypto
import Dispatch
import Foundation
import Primitives
import Synchronization
import Torch

/// SHA-256 (lower-case hex) of one stored tensor's bytes.
public struct TensorDigest: Equatable, Sendable {
  public let tensor: TensorDescription
  public let sha256: String

  public init(tensor: TensorDescription, sha256: String) {
    self.tensor = tensor
    self.sha256 = sha256
  }
}

/// Identifies a model by its stored weights: the same for any order of tensors and any sharding, different as soon as one
/// bit, name, shape or element type differs.
///
/// `value` is the SHA-256, in lower-case hex, of this UTF-8 text: the line `lota-model-fingerprint 1`, then a line
/// `DIGEST DTYPE SHAPE NAME` for each tensor, sorted by the UTF-8 bytes of its name; DIGEST is the SHA-256 of the tensor's
/// bytes, DTYPE as in safetensors, SHAPE the sizes joined by commas in brackets, NAME a JSON string. Every line ends with "\n".
public struct ModelFingerprint: Equatable, Sendable {
  public let value: String
  /// Sorted by name.
  public let tensors: [TensorDigest]

  public init(tensors: [TensorDigest]) {
    self.tensors = tensors.sorted { $0.tensor.name.precedesInBytes($1.tensor.name) }
    var hash = SHA256()
    hash.update(data: Data("lota-model-fingerprint 1\n".utf8))
    for digest in self.tensors {
      let shape = digest.tensor.shape.map(String.init).joined(separator: ",")
      let name = JSONValue.quoted(digest.tensor.name)
      hash.update(data: Data("\(digest.sha256) \(digest.tensor.dtype.rawValue) [\(shape)] \(name)\n".utf8))
    }
    value = Self.hex(hash.finalize())
  }

  /// Reads every byte of `checkpoint` once, through small buffers, tensors in parallel.
  ///
  /// - Parameter threadCount: How many tensors to hash at a time; by default one a processor.
  public init(_ checkpoint: Checkpoint, threadCount: Int? = nil) throws {
    // Largest first, so that no thread ends with the embedding alone.
    let tensors = checkpoint.tensors.sorted { $0.byteCount > $1.byteCount }
    let next = Atomic<Int>(0)
    let results = Mutex<(digests: [TensorDigest], failure: (any Error)?)>(([], nil))
    let available = threadCount ?? ProcessInfo.processInfo.activeProcessorCount
    DispatchQueue.concurrentPerform(iterations: max(1, min(available, tensors.count))) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < tensors.count, results.withLock({ $0.failure == nil }) else { return }
        do {
          let sha256 = try Self.digest(of: tensors[index].name, in: checkpoint)
          results.withLock { $0.digests.append(TensorDigest(tensor: tensors[index], sha256: sha256)) }
        } catch {
          results.withLock { $0.failure = $0.failure ?? error }
        }
      }
    }
    let (digests, failure) = results.withLock { $0 }
    if let failure { throw failure }
    self.init(tensors: digests)
  }

  /// The digest of one tensor, nil when the model has no such tensor.
  public func sha256(of name: String) -> String? {
    // Sorted in byte order, which `String` comparison is not: search by bytes.
    var lower = 0
    var upper = tensors.count
    while lower < upper {
      let middle = (lower + upper) / 2
      if tensors[middle].tensor.name.precedesInBytes(name) { lower = middle + 1 } else { upper = middle }
    }
    guard lower < tensors.count, tensors[lower].tensor.name == name else { return nil }
    return tensors[lower].sha256
  }

  /// SHA-256 of a stored tensor's bytes.
  public static func digest(of name: String, in checkpoint: Checkpoint) throws -> String {
    let count = try checkpoint.description(of: name).byteCount
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, min(count, 512 << 10)), alignment: 16)
    defer { buffer.deallocate() }
    var hash = SHA256()
    var done = 0
    while done < count {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, count - done)])
      try checkpoint.readBytes(of: name, range: done..<(done + part.count), into: part)
      hash.update(bufferPointer: UnsafeRawBufferPointer(part))
      done += part.count
    }
    return hex(hash.finalize())
  }

  /// SHA-256 of bytes in memory, as lower-case hex.
  public static func digest(of bytes: UnsafeRawBufferPointer) -> String { hex(digestBytes(of: bytes)) }

  /// SHA-256 of bytes in memory.
  package static func digestBytes(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return Array(hash.finalize())
  }

  private static func hex(_ digest: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
