import Checkpoints
import Foundation
import Testing
import Torch

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct SafetensorsWriterTests {
  static let tensors: [(String, [Int])] = [("b", [2, 3]), ("a", [4]), ("empty", [0, 2]), ("s", [])]

  func names(_ directory: String) throws -> [String] { try FileSystem.contents(of: directory) }

  @Test func headerIsAlignedAndOrdered() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      try writeTensors(Self.tensors, to: path)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      let length = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
      #expect(length % 8 == 0)
      let header = String(decoding: bytes[8..<(8 + Int(length))], as: UTF8.self)
      let expected =
        #"{"b":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"a":{"dtype":"F32","shape":[4],"data_offsets":[24,40]},"#
        + #""empty":{"dtype":"F32","shape":[0,2],"data_offsets":[40,40]},"s":{"dtype":"F32","shape":[],"data_offsets":[40,44]}}"#
      #expect(header == expected.padding(toLength: Int(length), withPad: " ", startingAt: 0))
      #expect(bytes.count == 8 + Int(length) + 44)
      #expect(try names(directory) == ["a.safetensors"])
    }
  }

  @Test func metadataAndOddNamesSurvive() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      let metadata = ["format": "pt", "é\"\\\n\u{1}": "\t中\u{1F600}"]
      let name = "weird \"name\" \\ \u{7} ü"
      let writer = try SafetensorsWriter(
        path: path, tensors: [try TensorDescription(name: name, dtype: .int8, shape: [1])], metadata: metadata)
      try [UInt8(5)].withUnsafeBytes { try writer.append($0) }
      try writer.finish()
      let file = try SafetensorsFile(path: path)
      #expect(file.metadata == metadata)
      #expect(try file.withBytes(of: name) { Array($0) } == [5])
    }
  }

  @Test(arguments: [1, 3, 4096, 1 << 20, (1 << 20) + 1, 5 << 20])
  func anyChunkingGivesTheSameFile(_ chunkByteCount: Int) throws {
    let data = [UInt8]((0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
    let used = chunkByteCount < 10 ? 5000 : data.count
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      let writer = try SafetensorsWriter(
        path: path, tensors: [try TensorDescription(name: "x", dtype: .uint8, shape: [used])])
      try data.withUnsafeBytes { bytes in
        var done = 0
        while done < used {
          let end = min(used, done + chunkByteCount)
          try writer.append(UnsafeRawBufferPointer(rebasing: bytes[done..<end]))
          done = end
        }
      }
      try writer.finish()
      #expect(try SafetensorsFile(path: path).withBytes(of: "x") { Array($0) } == Array(data[..<used]))
    }
  }

  @Test func nothingAppearsBeforeTheEndAndNothingStaysAfterGivingUp() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      try Data("old".utf8).write(to: URL(fileURLWithPath: path))
      do {
        let writer = try SafetensorsWriter(
          path: path, tensors: [try TensorDescription(name: "x", dtype: .float32, shape: [2])])
        try writer.append([1], as: .float32)
        #expect(try names(directory).count == 2)
      }
      #expect(try names(directory) == ["a.safetensors"])
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
    }
  }

  @Test func countsBytes() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      let tensors = [try TensorDescription(name: "x", dtype: .float32, shape: [2])]
      let short = try SafetensorsWriter(path: path, tensors: tensors)
      try short.append([1], as: .float32)
      #expect(throws: CheckpointError.tooFewBytes(path: path, expected: 8, written: 4)) { try short.finish() }
      #expect(throws: CheckpointError.writerFinished(path: path)) { try short.append([1], as: .float32) }
      let long = try SafetensorsWriter(path: path, tensors: tensors)
      #expect(throws: CheckpointError.tooManyBytes(path: path, expected: 8)) {
        try long.append([1, 2, 3], as: .float32)
      }
      #expect(throws: CheckpointError.writerFinished(path: path)) { try long.finish() }
      #expect(try names(directory).isEmpty)
    }
  }

  @Test func refusesImpossibleTensors() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      #expect(throws: CheckpointError.duplicateTensor(name: "x", path: path)) {
        try writeTensors([("x", [1]), ("x", [2])], to: path)
      }
      #expect(throws: CheckpointError.reservedTensorName(name: "__metadata__", path: path)) {
        try writeTensors([("__metadata__", [1])], to: path)
      }
      for shape in [[-1], [1 << 32, 1 << 32], [1 << 62]] {
        #expect(throws: CheckpointError.invalidShape(tensor: "x", shape: shape)) {
          try TensorDescription(name: "x", dtype: .float32, shape: shape)
        }
      }
      let left = try names(directory)
      #expect(left.isEmpty)
    }
  }

  @Test func unwritablePlacesAreNamed() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/missing/a.safetensors"
      let error = #expect(throws: CheckpointError.self) { try writeTensors([("x", [1])], to: path) }
      #expect(error?.description == "\(path): cannot create: No such file or directory")
    }
  }

  /// A file size limit stands in for a full disk: both fail in the middle of writing.
  @Test func aFailingWriteIsNamedAndLeavesNothing() async throws {
    await #expect(processExitsWith: .success) {
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 1 << 20, rlim_max: 1 << 20)
      #if canImport(Glibc)
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      #else
      setrlimit(RLIMIT_FSIZE, &limit)
      #endif
      try withTemporaryDirectory { directory in
        let path = directory + "/a.safetensors"
        let error = #expect(throws: CheckpointError.self) { try writeTensors([("x", [1 << 20])], to: path) }
        #expect(error?.description == "\(path): cannot write: File too large")
        let left = try FileSystem.contents(of: directory)
        #expect(left.isEmpty)
      }
    }
  }
}
