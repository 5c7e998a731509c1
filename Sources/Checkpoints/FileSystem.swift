public import Foundation
package import Primitives
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Files and directories written so that a reader never sees half of one.
public enum FileSystem {
  private static let counter = Atomic<Int>(0)

  // MARK: Paths

  public static func join(_ directory: String, _ name: String) -> String {
    directory.isEmpty ? name : directory.hasSuffix("/") ? directory + name : directory + "/" + name
  }

  /// The directory part; "." for a bare name.
  public static func parent(of path: String) -> String {
    let trimmed = withoutTrailingSlashes(path)
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  /// A name in the same directory that no other writer, here or in another process, uses.
  package static func temporaryPath(beside path: String) -> String {
    let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
    return "\(withoutTrailingSlashes(path))\(temporaryMark)\(getpid())-\(number)"
  }

  /// In the name of everything that is not complete.
  package static let temporaryMark = ".partial-"

  package static func move(_ path: String, to target: String) throws {
    guard rename(path, target) == 0 else {
      throw CheckpointError.system(operation: "move aside", path: path, code: errno)
    }
  }

  static func withoutTrailingSlashes(_ path: String) -> String {
    var path = Substring(path)
    while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
    return String(path)
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  public static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Names in a directory, sorted, without "." and "..".
  public static func contents(of directory: String) throws -> [String] {
    guard let stream = opendir(directory) else {
      throw CheckpointError.system(operation: "list", path: directory, code: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) {
          String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { $0.precedesInBytes($1) }
  }

  // MARK: Whole files

  public static func read(_ path: String) throws -> Data {
    let file = try MappedFile(path: path)
    var data = Data(count: file.byteCount)
    try data.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
    return data
  }

  package static func readJSON(_ path: String) throws -> JSONValue {
    try parseJSON(try read(path), path: path)
  }

  /// `path` is only for messages.
  package static func parseJSON(_ data: Data, path: String) throws -> JSONValue {
    let result = data.withUnsafeBytes { bytes in
      Result { () throws(JSONParser.Failure) in try JSONParser.parse(bytes) }
    }
    switch result {
    case .success(let value): return value
    case .failure(let failure):
      throw CheckpointError.malformedJSON(path: path, offset: failure.offset, reason: failure.reason)
    }
  }

  /// Writes the file aside, flushes it to disk and renames it into place.
  public static func writeAtomically(_ data: Data, to path: String) throws {
    let output = try OutputFile(path: path)
    try data.withUnsafeBytes { try output.write($0) }
    try output.commit()
  }

  /// The same for text, as UTF-8.
  public static func writeAtomically(_ text: String, to path: String) throws {
    try writeAtomically(Data(text.utf8), to: path)
  }

  public static func copyFile(from source: String, to target: String) throws {
    let file = try MappedFile(path: source)
    let output = try OutputFile(path: target)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var done = 0
    while done < file.byteCount {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, file.byteCount - done)])
      try file.read(at: done, into: part)
      try output.write(UnsafeRawBufferPointer(part))
      done += part.count
    }
    try output.commit()
  }

  // MARK: Directories

  /// Creates a directory and its missing parents; an existing one is fine.
  public static func createDirectory(_ path: String) throws {
    let path = withoutTrailingSlashes(path)
    if path.isEmpty || isDirectory(path) { return }
    let parent = parent(of: path)
    if parent != path, !exists(parent) { try createDirectory(parent) }
    guard mkdir(path, 0o777) != 0 else { return }
    let code = errno
    if code == EEXIST, isDirectory(path) { return }
    // What is in the way is a file: "File exists" would not say that it should be a directory.
    throw CheckpointError.system(operation: "create directory", path: path, code: code == EEXIST ? ENOTDIR : code)
  }

  static func flushDirectory(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CheckpointError.system(operation: "open", path: path, code: errno) }
    defer { close(descriptor) }
    // Some file systems refuse to flush a directory; the rename itself has succeeded.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
      throw CheckpointError.system(operation: "flush directory", path: path, code: errno)
    }
  }

  /// Removes a file, or a directory with its contents. What does not exist is fine.
  public static func remove(_ path: String) throws {
    do { try FileManager.default.removeItem(atPath: path) } catch {
      guard exists(path) else { return }
      let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      let code = cause?.domain == NSPOSIXErrorDomain ? cause?.code : nil
      throw CheckpointError.system(operation: "remove", path: path, code: Int32(code ?? Int(EIO)))
    }
  }
}
