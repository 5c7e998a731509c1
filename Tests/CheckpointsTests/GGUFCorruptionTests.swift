import Checkpoints
import Foundation
import Testing

@Suite("Broken GGUF files")
struct GGUFCorruptionTests {
  /// One key and two tensors of 32 bytes.
  static var sound: GGUFBuilder {
    var builder = GGUFBuilder()
    builder["key"] = .uint32(1)
    builder.addTensor("a", shape: [8])
    builder.addTensor("b", shape: [2, 4])
    return builder
  }

  @Test func header() throws {
    var builder = Self.sound
    builder.magic = Array("GGML".utf8)
    try expectGGUFError(builder) { .notGGUF(path: $0) }
    builder = Self.sound
    builder.version = UInt32(3).byteSwapped
    try expectGGUFError(builder) { .bigEndian(path: $0) }
    for version in [0, 1, 4] as [UInt32] {
      builder.version = version
      try expectGGUFError(builder) { .unsupportedVersion(path: $0, version: version) }
    }
  }

  @Test("counts beyond the file", arguments: [1000, 1 << 40, UInt64(Int64.max), .max] as [UInt64])
  func giantCounts(count: UInt64) throws {
    var builder = Self.sound
    builder.metadataCount = count
    try expectGGUFError(builder) { .implausibleCount(path: $0, what: "the metadata", count: count) }
    builder = Self.sound
    builder.tensorCount = count
    try expectGGUFError(builder) { .implausibleCount(path: $0, what: "the tensor list", count: count) }
    for type in [0, 5, 8, 9, 12] as [UInt32] {
      builder = Self.sound
      builder.metadata[0].value = [9, 0, 0, 0] + GGUFBuilder.little(type) + GGUFBuilder.little(count)
      try expectGGUFError(builder) { .implausibleCount(path: $0, what: "the array \"key\"", count: count) }
    }
    builder = Self.sound
    builder.metadata[0].value = [8, 0, 0, 0] + GGUFBuilder.little(count)
    let size = builder.bytes.count
    try expectGGUFError(builder) { .truncated(path: $0, what: "the value of \"key\"", size: size) }
  }

  @Test func metadata() throws {
    var builder = Self.sound
    builder.metadata.append(builder.metadata[0])
    try expectGGUFError(builder) { .duplicateKey(path: $0, key: "key") }
    builder = Self.sound
    builder.metadata[0].value = GGUFBuilder.little(UInt32(13)) + [0, 0, 0, 0]
    try expectGGUFError(builder) { .unknownValueType(path: $0, key: "key", rawType: 13) }
    builder.metadata[0].value = [9, 0, 0, 0] + GGUFBuilder.little(UInt32(99)) + GGUFBuilder.little(UInt64(0))
    try expectGGUFError(builder) { .unknownValueType(path: $0, key: "key", rawType: 99) }
    builder.metadata[0].value = [7, 0, 0, 0, 2]
    try expectGGUFError(builder) { .invalidBoolean(path: $0, key: "key", value: 2) }
    builder["key"] = .array(.array([.array([.array([.array([.uint8([])])])])]))
    try expectGGUFError(builder) { .nestingTooDeep(path: $0, key: "key", limit: 4) }
    // Ten thousand levels, each one array inside the other.
    let level = GGUFBuilder.little(UInt32(9)) + GGUFBuilder.little(UInt64(1))
    builder.metadata[0].value = [9, 0, 0, 0] + (0..<10_000).flatMap { _ in level }
    try expectGGUFError(builder) { .nestingTooDeep(path: $0, key: "key", limit: 4) }
    for alignment in [0, 3, 48, 1 << 21] as [UInt32] {
      builder = Self.sound
      builder["general.alignment"] = .uint32(alignment)
      try expectGGUFError(builder) {
        .invalidValue(path: $0, key: "general.alignment", problem: "must be a power of two up to 1048576")
      }
    }
  }

  @Test("text that is not UTF-8", arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] as [[UInt8]])
  func invalidText(text: [UInt8]) throws {
    var builder = Self.sound
    builder.metadata[0].key = text
    try expectGGUFError(builder) { .invalidText(path: $0, what: "the name of metadata key 0") }
    builder = Self.sound
    builder.metadata[0].value = [8, 0, 0, 0] + GGUFBuilder.text(text)
    try expectGGUFError(builder) { .invalidText(path: $0, what: "the value of \"key\"") }
    builder = Self.sound
    builder.tensors[1].name = text
    try expectGGUFError(builder) { .invalidText(path: $0, what: "the name of tensor 1") }
  }

  @Test func tensors() throws {
    var builder = Self.sound
    builder.tensors[1].name = Array("a".utf8)
    try expectGGUFError(builder) { .duplicateTensor(path: $0, tensor: "a") }
    builder = Self.sound
    builder.tensors[1].type = 4
    try expectGGUFError(builder) { .unknownTensorType(path: $0, tensor: "b", rawType: 4) }
    builder = Self.sound
    builder.tensors[1].offset = 33
    try expectGGUFError(builder) { .misalignedTensor(path: $0, tensor: "b", offset: 33, alignment: 32) }
    builder.tensors[1].offset = 0
    try expectGGUFError(builder) { .overlappingTensors(path: $0, first: "a", second: "b") }
    for offset in [64, 1 << 40, UInt64.max - 31] as [UInt64] {
      builder.tensors[1].offset = offset
      try expectGGUFError(builder) {
        .tensorOutOfBounds(path: $0, tensor: "b", offset: offset, byteCount: 32, available: 64)
      }
    }
  }

  @Test func shapes() throws {
    func expectProblem(_ dimensions: [UInt64], type: GGUFTensorType = .f32, _ problem: String) throws {
      var builder = Self.sound
      builder.tensors[1].dimensions = dimensions
      builder.tensors[1].type = type.rawValue
      try expectGGUFError(builder) { .invalidTensorShape(path: $0, tensor: "b", problem: problem) }
    }
    let big = UInt64(1) << 32
    try expectProblem([1, 1, 1, 1, 1], "has 5 dimensions; at most 4 are allowed")
    try expectProblem([big, big], "has dimensions [\(big), \(big)]: too large")
    try expectProblem([.max], "has dimensions [\(UInt64.max)]: too large")
    try expectProblem([UInt64(Int64.max)], "has dimensions [\(Int64.max)]: too large")
    try expectProblem([4, 0], "has dimensions [4, 0]: one is zero")
    try expectProblem([48], type: .q8_0, "has rows of 48 elements, not a multiple of the 32 in a block of Q8_0")
  }

  @Test func everyTruncationIsAnError() throws {
    var builder = Self.sound
    for (key, value) in GGUFFileTests.everyValue { builder[key] = value }
    let bytes = builder.bytes
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "cut.gguf")
      for length in 0..<bytes.count {
        try Data(bytes[..<length]).write(to: URL(fileURLWithPath: path))
        #expect(throws: GGUFError.self, "cut at \(length)") { try GGUFFile(path: path) }
      }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      #expect(throws: Never.self) { try GGUFFile(path: path) }
    }
  }

  /// Whatever one wrong byte does, it is an error or a readable file, never a crash.
  @Test func everyFlippedByteIsSurvived() throws {
    var builder = Self.sound
    for (key, value) in GGUFFileTests.everyValue { builder[key] = value }
    let bytes = builder.bytes
    try withTemporaryDirectory { directory in
      let path = FileSystem.join(directory, "flipped.gguf")
      for index in bytes.indices {
        for flip in [0x01, 0xFF] as [UInt8] {
          var changed = bytes
          changed[index] ^= flip
          try Data(changed).write(to: URL(fileURLWithPath: path))
          do {
            let file = try GGUFFile(path: path)
            for tensor in file.tensors { file.withBytes(of: tensor, rows: 0..<tensor.rowCount) { _ = $0.last } }
          } catch is GGUFError {}
        }
      }
    }
  }

  @Test func missingFiles() throws {
    #expect(throws: GGUFError.self) { try GGUFFile(path: "/nonexistent/model.gguf") }
    try withTemporaryDirectory { directory in
      #expect(throws: GGUFError.self) { try GGUFFile(path: directory) }
      let empty = FileSystem.join(directory, "empty.gguf")
      try Data().write(to: URL(fileURLWithPath: empty))
      #expect(throws: GGUFError.notGGUF(path: empty)) { try GGUFFile(path: empty) }
    }
  }

  @Test func messagesAreOneLine() {
    let error = GGUFError.unsupportedTensorType(path: "m.gguf", tensor: "blk.0.attn_q.weight", type: "IQ2_XS")
    #expect(
      "\(error)" == """
        m.gguf: tensor "blk.0.attn_q.weight" has type IQ2_XS; supported are \
        F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K
        """)
    #expect(error.localizedDescription == "\(error)")
  }
}
