import Checkpoints
import Foundation
import Testing
import Torch

@Suite struct ShardedCheckpointTests {
  struct Golden: Decodable {
    let fingerprint: String
    let tensors: [String: GoldenTensor]
  }

  func write(_ text: String, _ path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  @Test func readsShardsOfTheReferenceWriter() throws {
    let golden = try golden(Golden.self, "sharded.json")
    let checkpoint = try Checkpoint(directory: goldenPath("sharded"))
    #expect(checkpoint.tensors.map(\.name) == golden.tensors.keys.sorted())
    for (name, expected) in golden.tensors {
      #expect(try checkpoint.description(of: name).shape == expected.shape)
      #expect(try checkpoint.withBytes(of: name) { sha256($0) } == expected.sha256)
      #expect(try checkpoint.floats(of: name).map { Int32(bitPattern: $0.bitPattern) } == expected.bits)
    }
    let byIndex = try Checkpoint(directory: goldenPath("sharded/model.safetensors.index.json"))
    #expect(byIndex.tensors == checkpoint.tensors)
    let configuration = try ModelConfiguration(directory: goldenPath("sharded"))
    try configuration.validate(checkpoint)
    #expect(configuration.slidingWindow == 16 && configuration.dtype == .bfloat16)
  }

  @Test func fingerprintIsIndependentOfShardingAndThreads() throws {
    let golden = try golden(Golden.self, "sharded.json")
    let checkpoint = try Checkpoint(directory: goldenPath("sharded"))
    for threadCount in [1, 2, 64] {
      #expect(try ModelFingerprint(checkpoint, threadCount: threadCount).value == golden.fingerprint)
    }
    let fingerprint = try ModelFingerprint(checkpoint)
    for (name, expected) in golden.tensors { #expect(fingerprint.sha256(of: name) == expected.sha256) }
    #expect(fingerprint.sha256(of: "nothing") == nil)
    try withTemporaryDirectory { directory in
      try copy(checkpoint, to: directory, maximumShardByteCount: 5_000_000_000)
      #expect(try FileSystem.contents(of: directory) == ["model.safetensors"])
      #expect(try ModelFingerprint(Checkpoint(directory: directory)).value == golden.fingerprint)
    }
  }

  @Test func fingerprintSeesEveryBitNameAndShape() throws {
    func fingerprint(_ name: String, _ dtype: DType, _ shape: [Int], _ bytes: [UInt8]) throws -> String {
      let digest = bytes.withUnsafeBytes { ModelFingerprint.digest(of: $0) }
      let tensor = try TensorDescription(name: name, dtype: dtype, shape: shape)
      return ModelFingerprint(tensors: [TensorDigest(tensor: tensor, sha256: digest)]).value
    }
    let all = [
      try fingerprint("a", .uint8, [4], [1, 2, 3, 4]), try fingerprint("a", .uint8, [4], [1, 2, 3, 5]),
      try fingerprint("b", .uint8, [4], [1, 2, 3, 4]), try fingerprint("a", .int8, [4], [1, 2, 3, 4]),
      try fingerprint("a", .uint8, [2, 2], [1, 2, 3, 4]), ModelFingerprint(tensors: []).value,
    ]
    #expect(Set(all).count == all.count)
  }

  func copy(_ checkpoint: Checkpoint, to directory: String, maximumShardByteCount: Int) throws {
    let writer = try ShardedCheckpointWriter(
      directory: directory, tensors: checkpoint.tensors, maximumShardByteCount: maximumShardByteCount)
    for tensor in checkpoint.tensors {
      try checkpoint.withBytes(of: tensor.name) { bytes in
        let half = bytes.count / 2
        try writer.append(tensor.name, UnsafeRawBufferPointer(rebasing: bytes[..<half]))
        try writer.append(tensor.name, UnsafeRawBufferPointer(rebasing: bytes[half...]))
      }
    }
    try writer.finish()
  }

  @Test(arguments: [1, 200, 1000, 3000])
  func writesShardsThatReadBack(_ limit: Int) throws {
    let source = try Checkpoint(directory: goldenPath("sharded"))
    try withTemporaryDirectory { directory in
      try copy(source, to: directory, maximumShardByteCount: limit)
      let result = try Checkpoint(directory: directory)
      #expect(result.tensors == source.tensors)
      #expect(try ModelFingerprint(result).value == ModelFingerprint(source).value)
      for name in try FileSystem.contents(of: directory) where name.hasSuffix(".safetensors") {
        let file = try SafetensorsFile(path: directory + "/" + name)
        #expect(file.tensors.count == 1 || file.tensors.reduce(0) { $0 + $1.byteCount } <= limit)
        #expect(file.metadata == ["format": "pt"])
      }
    }
  }

  @Test func writerInsistsOnOrderAndWholeTensors() throws {
    try withTemporaryDirectory { directory in
      let tensors = try ["a", "e", "b"].map {
        try TensorDescription(name: $0, dtype: .uint8, shape: [$0 == "e" ? 0 : 2])
      }
      let writer = try ShardedCheckpointWriter(directory: directory, tensors: tensors, maximumShardByteCount: 2)
      let two: [UInt8] = [1, 2]
      func append(_ name: String, _ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try writer.append(name, $0) } }
      #expect(throws: CheckpointError.unexpectedTensor(name: "b", expected: "a", path: directory)) {
        try append("b", two)
      }
      try append("a", [1])
      #expect(throws: CheckpointError.tooFewBytes(path: "\(directory): tensor a", expected: 2, written: 1)) {
        try writer.finish()
      }
      try append("a", [2])
      #expect(throws: CheckpointError.tooManyBytes(path: "\(directory): tensor a", expected: 2)) {
        try append("a", [3])
      }
      try append("b", two)
      #expect(throws: CheckpointError.unexpectedTensor(name: "a", expected: nil, path: directory)) {
        try append("a", two)
      }
      try writer.finish()
      #expect(throws: CheckpointError.writerFinished(path: directory)) { try writer.finish() }
      #expect(try Checkpoint(directory: directory).tensors.map(\.name) == ["a", "b", "e"])
    }
  }

  @Test(arguments: ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "", "..", ".hidden", "a\\b", "a\tb"])
  func refusesShardNamesThatLeaveTheDirectory(_ name: String) throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/model.safetensors.index.json"
      let map = try JSONSerialization.data(withJSONObject: ["weight_map": ["x": name]])
      try map.write(to: URL(fileURLWithPath: path))
      #expect(throws: CheckpointError.unsafeShardName(path: path, name: name)) { try Checkpoint(directory: directory) }
    }
  }

  @Test func namesAllMissingShards() throws {
    try withTemporaryDirectory { directory in
      let index = directory + "/model.safetensors.index.json"
      try writeTensors([("a", [1])], to: directory + "/1.safetensors")
      try write(#"{"weight_map":{"a":"1.safetensors","b":"3.safetensors","c":"2.safetensors"}}"#, index)
      #expect(throws: CheckpointError.missingShards(index: index, names: ["2.safetensors", "3.safetensors"])) {
        try Checkpoint(directory: directory)
      }
    }
  }

  @Test func reportsAllDisagreementsTogether() throws {
    try withTemporaryDirectory { directory in
      let index = directory + "/model.safetensors.index.json"
      try writeTensors([("a", [1]), ("u", [1])], to: directory + "/1.safetensors")
      try writeTensors([("b", [1]), ("v", [1])], to: directory + "/2.safetensors")
      try write(
        #"{"weight_map":{"a":"1.safetensors","b":"2.safetensors","y":"1.safetensors","x":"2.safetensors"}}"#, index)
      let error = #expect(
        throws: CheckpointError.inconsistentIndex(index: index, absent: ["x", "y"], unlisted: ["u", "v"])
      ) { try Checkpoint(directory: directory) }
      #expect(
        error?.description
          == "\(index): does not agree with its shards; not in the shard named: x, y; stored but not listed: u, v")
    }
  }

  @Test(arguments: [
    ("[]", #""weight_map" is missing or not an object"#), ("{}", #""weight_map" is missing or not an object"#),
    (#"{"weight_map":[]}"#, #""weight_map" is missing or not an object"#),
    (#"{"weight_map":{}}"#, #""weight_map" is empty"#), (#"{"weight_map":{"a":1}}"#, "shard of a is not a string"),
  ])
  func refusesMalformedIndexes(_ text: String, _ reason: String) throws {
    try withTemporaryDirectory { directory in
      let index = directory + "/model.safetensors.index.json"
      try write(text, index)
      #expect(throws: CheckpointError.malformedIndex(path: index, reason: reason)) {
        try Checkpoint(directory: directory)
      }
    }
  }

  @Test func saysWhatToDoWithoutSafetensors() throws {
    try withTemporaryDirectory { directory in
      #expect(throws: CheckpointError.noWeights(directory: directory, otherSafetensors: [])) {
        try Checkpoint(directory: directory)
      }
      try writeTensors([("a", [1])], to: directory + "/weights.safetensors")
      #expect(throws: CheckpointError.noWeights(directory: directory, otherSafetensors: ["weights.safetensors"])) {
        try Checkpoint(directory: directory)
      }
      #expect(try Checkpoint(directory: directory + "/weights.safetensors").contains("a"))
      try write("", directory + "/pytorch_model.bin")
      #expect(throws: CheckpointError.onlyPickledWeights(directory: directory, file: "pytorch_model.bin")) {
        try Checkpoint(directory: directory)
      }
      let missing = directory + "/none"
      #expect(throws: CheckpointError.fileNotFound(path: missing)) { try Checkpoint(directory: missing) }
    }
  }
}
