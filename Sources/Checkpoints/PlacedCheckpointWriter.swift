internal import Synchronization

/// Writes a model's weights as ``ShardedCheckpointWriter`` does, but in any order and from several threads: every byte of every
/// tensor must be written once.
package final class PlacedCheckpointWriter: @unchecked Sendable {
  // Sendable: files are written by position, and nothing else changes after the initialiser.
  private let directory: String
  private let files: [OutputFile]
  private let shards: [(name: String, tensors: [TensorDescription])]
  private let places: [String: (file: Int, offset: Int, byteCount: Int)]
  private let written = Atomic<Int>(0)

  package init(
    directory: String, tensors: [TensorDescription], metadata: [String: String] = ["format": "pt"],
    maximumShardByteCount: Int = ShardedCheckpointWriter.defaultMaximumShardByteCount
  ) throws {
    self.directory = directory
    try FileSystem.createDirectory(directory)
    shards = ShardedCheckpointWriter.plan(tensors, maximumByteCount: maximumShardByteCount)
    var places: [String: (file: Int, offset: Int, byteCount: Int)] = [:]
    var files: [OutputFile] = []
    for (number, shard) in shards.enumerated() {
      let path = FileSystem.join(directory, shard.name)
      let header = try SafetensorsHeader.encoded(tensors: shard.tensors, metadata: metadata, path: path)
      let file = try OutputFile(path: path)
      try header.withUnsafeBytes { try file.write($0, at: 0) }
      var offset = header.count
      for tensor in shard.tensors {
        let place = (file: number, offset: offset, byteCount: tensor.byteCount)
        guard places.updateValue(place, forKey: tensor.name) == nil else {
          throw CheckpointError.duplicateTensor(name: tensor.name, path: directory)
        }
        offset += tensor.byteCount
      }
      files.append(file)
    }
    self.files = files
    self.places = places
  }

  /// Writes some of a tensor's bytes, from byte `offset` on.
  package func write(_ name: String, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws {
    guard let place = places[name] else {
      throw CheckpointError.unexpectedTensor(name: name, expected: nil, path: directory)
    }
    guard offset >= 0, bytes.count <= place.byteCount - offset else {
      throw CheckpointError.tooManyBytes(path: "\(directory): tensor \(name)", expected: place.byteCount)
    }
    try files[place.file].write(bytes, at: place.offset + offset)
    written.add(bytes.count, ordering: .relaxed)
  }

  /// Flushes all files and shows them under their names; writes the index, if there are several.
  package func finish() throws {
    let expected = places.values.reduce(0) { $0 + $1.byteCount }
    let found = written.load(ordering: .relaxed)
    guard found == expected else {
      throw CheckpointError.tooFewBytes(path: directory, expected: expected, written: found)
    }
    for file in files { try file.commit() }
    guard shards.count > 1 else { return }
    var weightMap: [String: String] = [:]
    for shard in shards { for tensor in shard.tensors { weightMap[tensor.name] = shard.name } }
    try FileSystem.writeAtomically(
      ShardIndex.encoded(weightMap: weightMap, totalByteCount: expected),
      to: FileSystem.join(directory, ShardIndex.fileName))
  }
}
