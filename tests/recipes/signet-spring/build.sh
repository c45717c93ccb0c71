#!/bin/sh
# Builds copies of the starter and the service in one Maven build. The service thus finds the starter
# without installing it, and no file is written beside the sources.
set -eu
here=$(pwd)
rm -rf "$OUT/java" "$OUT/service"
tar -C "$here/../../../verifiers" --exclude=target -cf - java | tar -C "$OUT" -xf -
mkdir "$OUT/service"
cp -R pom.xml src "$OUT/service"
cat >"$OUT/pom.xml" <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>parent</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <modules>
    <module>java</module>
    <module>service</module>
  </modules>
</project>
POM
cd "$OUT"
mvn --batch-mode --quiet --projects service --also-make -Dmaven.test.skip package
