import Dispatch
import Synchronization

/// How a scan over many tensors is cut into chunks, and the mask words that the chunks write.
///
/// Chunks are numbered in canonical order and begin on word boundaries, so that no two of them share a word.
final class ChunkPlan: @unchecked Sendable {
  // Sendable: the words are written by disjoint chunks only, everything else is constant.

  /// 256 KiB of float32: two sources and a histogram fit the second-level cache.
  static let chunkSize = 1 << 16

  struct Tensor {
    let name: String
    let shape: [Int]
    let count: Int
    let excluded: BitMask?
  }

  struct Chunk {
    let tensor: Int
    let range: Range<Int>
  }

  let tensors: [Tensor]
  let chunks: [Chunk]
  /// Number of weights.
  let count: Int
  private let words: [UnsafeMutableBufferPointer<UInt64>]

  init(tensors: [Tensor]) {
    self.tensors = tensors
    count = tensors.reduce(0) { $0 + $1.count }
    chunks = tensors.enumerated().flatMap { position, tensor in
      stride(from: 0, to: tensor.count, by: Self.chunkSize).map {
        Chunk(tensor: position, range: $0..<min($0 + Self.chunkSize, tensor.count))
      }
    }
    words = tensors.map { tensor in
      let buffer = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: BitMask.wordCount(for: tensor.count))
      buffer.initialize(repeating: 0)
      return buffer
    }
  }

  deinit { for buffer in words { buffer.deallocate() } }

  /// The mask words of a chunk; nil for an empty tensor only.
  func words(of chunk: Chunk) -> UnsafeMutablePointer<UInt64>? {
    words[chunk.tensor].baseAddress.map { $0 + chunk.range.lowerBound / 64 }
  }

  func withExcluded<Result>(
    of chunk: Chunk, _ body: (UnsafePointer<UInt64>?) throws -> Result
  ) rethrows -> Result {
    guard let excluded = tensors[chunk.tensor].excluded else { return try body(nil) }
    return try excluded.words.withUnsafeBufferPointer { words in
      try body(words.baseAddress.map { $0 + chunk.range.lowerBound / 64 })
    }
  }

  func mask(sparsity: Double, baseFingerprint: String?) throws -> Mask {
    let entries = zip(tensors, words).map { tensor, words in
      Mask.Entry(name: tensor.name, shape: tensor.shape, bits: BitMask(count: tensor.count, words: Array(words)))
    }
    return try Mask(entries: entries, sparsity: sparsity, baseFingerprint: baseFingerprint)
  }
}

/// Runs work over numbered chunks on several threads, one worker's state to a thread.
package enum ParallelChunks {
  /// Hands out `chunks` in ascending order.
  ///
  /// When chunks fail, the error of the lowest one is thrown, whatever the number of workers.
  package static func forEach<Worker: Sendable>(
    _ chunks: Range<Int>, workers: [Worker], finished: (@Sendable (Int) -> Void)? = nil,
    _ body: @Sendable (Worker, Int) throws -> Void
  ) throws {
    let next = Atomic<Int>(chunks.lowerBound)
    let done = Atomic<Int>(0)
    let failure = Mutex<(chunk: Int, error: any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: workers.count) { position in
      while true {
        let chunk = next.add(1, ordering: .relaxed).oldValue
        guard chunk < chunks.upperBound, failure.withLock({ $0 == nil }) else { return }
        do {
          try body(workers[position], chunk)
          let count = done.add(1, ordering: .relaxed).newValue
          finished?(count)
        } catch {
          failure.withLock { if $0 == nil || chunk < $0?.chunk ?? .max { $0 = (chunk, error) } }
        }
      }
    }
    if let failure = failure.withLock({ $0 }) { throw failure.error }
  }
}
