/// Writes a model's weights into a directory: `model.safetensors` when they fit one file, else
/// `model-0000i-of-0000n.safetensors` and the index. Tensors are streamed in the order given.
///
/// Each file appears only when complete, and the index last: without it nothing counts as a checkpoint. Earlier weight
/// files in the directory are not removed; build in a fresh one (``FileSystem/publishDirectory(_:overwrite:_:)``).
public final class ShardedCheckpointWriter {
  /// transformers' default limit on the data of one file, in bytes.
  public static let defaultMaximumShardByteCount = 5_000_000_000

  public let directory: String
  public let shards: [(name: String, tensors: [TensorDescription])]
  private let metadata: [String: String]
  private var current: SafetensorsWriter?
  private var shardIndex = 0
  private var tensorIndex = 0
  /// Bytes of the current tensor already written.
  private var tensorByteCount = 0
  private var isFinished = false

  /// - Parameters:
  ///   - metadata: transformers insists on `format=pt`.
  ///   - maximumShardByteCount: A tensor larger than this gets a file of its own.
  public init(
    directory: String, tensors: [TensorDescription], metadata: [String: String] = ["format": "pt"],
    maximumShardByteCount: Int = ShardedCheckpointWriter.defaultMaximumShardByteCount
  ) throws {
    precondition(maximumShardByteCount > 0, "maximumShardByteCount \(maximumShardByteCount)")
    var names: Set<String> = []
    for tensor in tensors where !names.insert(tensor.name).inserted {
      throw CheckpointError.duplicateTensor(name: tensor.name, path: directory)
    }
    self.directory = directory
    self.metadata = metadata
    shards = Self.plan(tensors, maximumByteCount: maximumShardByteCount)
    try FileSystem.createDirectory(directory)
    try openShard()
  }

  static func plan(
    _ tensors: [TensorDescription], maximumByteCount: Int
  ) -> [(name: String, tensors: [TensorDescription])] {
    var groups: [[TensorDescription]] = [[]]
    var byteCount = 0
    for tensor in tensors {
      if byteCount > 0, tensor.byteCount > maximumByteCount - byteCount {
        groups.append([])
        byteCount = 0
      }
      groups[groups.count - 1].append(tensor)
      byteCount += tensor.byteCount
    }
    if groups.count == 1 { return [(Checkpoint.singleFileName, groups[0])] }
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return groups.enumerated().map { index, tensors in
      ("model-\(padded(index + 1))-of-\(padded(groups.count)).safetensors", tensors)
    }
  }

  /// Appends all or some of the bytes of tensor `name`. Tensors must come in the order announced, each whole.
  ///
  /// - Throws: ``CheckpointError/unexpectedTensor(name:expected:path:)`` when another tensor's turn is now.
  public func append(_ name: String, _ bytes: UnsafeRawBufferPointer) throws {
    guard !isFinished else { throw CheckpointError.writerFinished(path: directory) }
    try advance(to: name)
    guard let tensor = nextTensor, tensor.name == name else {
      throw CheckpointError.unexpectedTensor(name: name, expected: nextTensor?.name, path: directory)
    }
    guard bytes.count <= tensor.byteCount - tensorByteCount else {
      throw CheckpointError.tooManyBytes(path: "\(directory): tensor \(name)", expected: tensor.byteCount)
    }
    try current?.append(bytes)
    tensorByteCount += bytes.count
  }

  /// Finishes the last file and writes the index, if there are several files. Returns the names of the files written.
  @discardableResult
  public func finish() throws -> [String] {
    guard !isFinished else { throw CheckpointError.writerFinished(path: directory) }
    try advance(to: nil)
    if let tensor = nextTensor {
      throw CheckpointError.tooFewBytes(
        path: "\(directory): tensor \(tensor.name)", expected: tensor.byteCount, written: tensorByteCount)
    }
    isFinished = true
    try current?.finish()
    current = nil
    guard shards.count > 1 else { return shards.map(\.name) }
    var weightMap: [String: String] = [:]
    for shard in shards { for tensor in shard.tensors { weightMap[tensor.name] = shard.name } }
    let total = shards.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } }
    try FileSystem.writeAtomically(
      ShardIndex.encoded(weightMap: weightMap, totalByteCount: total),
      to: FileSystem.join(directory, ShardIndex.fileName))
    return shards.map(\.name) + [ShardIndex.fileName]
  }

  private var nextTensor: TensorDescription? {
    let tensors = shards[shardIndex].tensors
    return tensorIndex < tensors.count ? tensors[tensorIndex] : nil
  }

  /// Steps over complete tensors (empty ones need no call) until `name`, and into the next file where one ends.
  private func advance(to name: String?) throws {
    while let tensor = nextTensor, tensorByteCount == tensor.byteCount, tensor.name != name {
      tensorIndex += 1
      tensorByteCount = 0
      if nextTensor == nil, shardIndex + 1 < shards.count {
        try current?.finish()
        shardIndex += 1
        tensorIndex = 0
        try openShard()
      }
    }
  }

  private func openShard() throws {
    let shard = shards[shardIndex]
    current = try SafetensorsWriter(
      path: FileSystem.join(directory, shard.name), tensors: shard.tensors, metadata: metadata)
  }
}
