internal import Checkpoints
internal import Foundation
internal import Synchronization
internal import Tickets
internal import Torch

/// Merges models and adapters as a recipe says.
///
/// Opening checks everything that can be checked before a byte is written. The result of the same recipe is the same, bit for
/// bit, whatever the number of threads and the order of its inputs.
public struct Merge: Sendable {
  public var recipe: MergeRecipe { plan.recipe }
  let plan: MergePlan

  /// - Throws: ``MergeError/inputsDoNotFit(_:)`` with all that is wrong between recipe, base and inputs; ``MergeError/parameter(name:tensor:problem:)``;
  ///   `CheckpointError`, `TicketsError` and `LoRAError` for inputs that cannot be opened.
  public init(_ recipe: MergeRecipe) throws { plan = try MergePlan(recipe) }

  package init(_ recipe: MergeRecipe, workerCount: Int) throws {
    plan = try MergePlan(recipe, workerCount: workerCount)
  }

  /// What ``writeModel(to:overwrite:progress:)`` takes at its peak at most, in bytes, the program included.
  public var memoryByteCount: Int { plan.memoryByteCount }

  /// How far a merge is.
  public struct Progress: Equatable, Sendable {
    public let tensor: String
    /// Weights done, and all.
    public let done: Int
    public let total: Int
  }

  public struct Summary: Codable, Equatable, Sendable {
    public let tensors: Int
    public let weights: Int
    /// Of the weights written.
    public let bytes: Int
    /// Reading, merging and writing.
    public let seconds: Double
    /// Waiting for the disk to take the files.
    public let flushSeconds: Double
  }

  /// Writes the merged model, with tokenizer, configuration and a card that holds the recipe. The directory appears only when it is
  /// complete.
  ///
  /// Memory does not grow with the model (``memoryByteCount``).
  /// - Throws: ``MergeError/notFinite(tensor:index:input:)``; `CheckpointError` for files; `TicketsError` for a damaged adapter.
  @discardableResult
  public func writeModel(
    to directory: String, overwrite: Bool = false, progress: ((Progress) -> Void)? = nil
  ) throws -> Summary {
    let clock = ContinuousClock()
    let outputs = try plan.outputs
    let total = outputs.reduce(0) { $0 + $1.elementCount }
    return try FileSystem.publishDirectory(directory, overwrite: overwrite) { temporary in
      let start = clock.now
      let writer = try PlacedCheckpointWriter(directory: temporary, tensors: outputs)
      let workers = plan.workers()
      var done = 0
      for output in outputs {
        try write(output, writer, workers)
        done += output.elementCount
        progress?(Progress(tensor: output.name, done: done, total: total))
      }
      try ModelFiles(plan).write(to: temporary)
      let written = clock.now
      try writer.finish()
      return Summary(
        tensors: outputs.count, weights: total, bytes: outputs.reduce(0) { $0 + $1.byteCount },
        seconds: (written - start) / .seconds(1), flushSeconds: (clock.now - written) / .seconds(1))
    }
  }

  private func write(_ output: TensorDescription, _ writer: PlacedCheckpointWriter, _ workers: [Scratch]) throws {
    guard output.dtype.isFloatingPoint else {
      return try plan.reference.withBytes(of: output.name) { try writer.write(output.name, at: 0, $0) }
    }
    let size = output.dtype.byteCount
    try plan.merge(output, workers) { range, values in
      if output.dtype == .float32 {
        try writer.write(
          output.name, at: range.lowerBound * size, UnsafeRawBufferPointer(start: values, count: range.count * size))
        return
      }
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count * size, alignment: 16)
      defer { bytes.deallocate() }
      FloatCodec.encode(UnsafeBufferPointer(start: values, count: range.count), as: output.dtype, into: bytes)
      try writer.write(output.name, at: range.lowerBound * size, UnsafeRawBufferPointer(bytes))
    }
  }
}

extension MergePlan {
  func workers() -> [Scratch] {
    let longest = reference.tensors.filter(\.dtype.isFloatingPoint).map {
      min(chunks(of: $0).length, $0.elementCount)
    }.max()
    return (0..<workerCount).map { _ in
      Scratch(inputs: inputs.count, chunkLength: longest ?? 0, cutoffs: cutoffsPerInput * inputs.count)
    }
  }

  /// Merges one tensor; `write` gets its parts in no certain order, from several threads.
  func merge(
    _ tensor: TensorDescription, _ workers: [Scratch],
    _ write: @Sendable (Range<Int>, UnsafePointer<Float>) throws -> Void
  ) throws {
    let taking = inputs(of: tensor.name)
    let opened = Mutex<[Int: TensorInput]>([:])
    // Decoding an adapter's record takes time: side by side.
    try Adapter.inParallel(taking.count) { position in
      let input = try taking[position].open(tensor.name, base: reference)
      opened.withLock { $0[position] = input }
    }
    let sources = opened.withLock { opened in taking.indices.compactMap { opened[$0] } }
    let window = TensorWindow(
      name: tensor.name, chunks: chunks(of: tensor), reference: base, inputs: sources,
      limit: readsOnce ? 0 : Self.windowByteCount)
    let merge = TensorMerge(
      method: recipe.method, settings: try settings(of: tensor.name), window: window, workers: workers,
      paths: taking.map(\.path), isTicket: taking.map { $0.ticket != nil }, seed: recipe.seed)
    try merge.run(write)
  }
}
