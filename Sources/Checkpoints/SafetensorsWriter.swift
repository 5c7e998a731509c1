/// Writes a safetensors file in one pass: the header is known before the data, tensors follow in the order given.
///
/// The file appears under its name only with ``finish()``; the temporary is removed on failure or when the writer goes.
public final class SafetensorsWriter {
  public let path: String
  private let output: OutputFile
  private let expectedByteCount: Int
  private var writtenByteCount = 0
  private var isFinished = false

  public init(path: String, tensors: [TensorDescription], metadata: [String: String] = [:]) throws {
    let header = try SafetensorsHeader.encoded(tensors: tensors, metadata: metadata, path: path)
    self.path = path
    expectedByteCount = tensors.reduce(0) { $0 + $1.byteCount }
    output = try OutputFile(path: path)
    try header.withUnsafeBytes { try output.write($0) }
  }

  /// Appends the next bytes of the tensors' data, in chunks of any size. After a failure the writer is unusable.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    guard !isFinished else { throw CheckpointError.writerFinished(path: path) }
    guard bytes.count <= expectedByteCount - writtenByteCount else {
      abandon()
      throw CheckpointError.tooManyBytes(path: path, expected: expectedByteCount)
    }
    try output.write(bytes)
    writtenByteCount += bytes.count
  }

  /// Checks that all data came, flushes it to disk, and shows the file under its name.
  public func finish() throws {
    guard !isFinished else { throw CheckpointError.writerFinished(path: path) }
    guard writtenByteCount == expectedByteCount else {
      abandon()
      throw CheckpointError.tooFewBytes(path: path, expected: expectedByteCount, written: writtenByteCount)
    }
    isFinished = true
    try output.commit()
  }

  private func abandon() {
    isFinished = true
    output.discard()
  }
}
