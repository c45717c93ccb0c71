package dev.signet.verifier.servlet;

import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServlet;
import java.nio.file.Path;
import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.FilterDef;
import org.apache.tomcat.util.descriptor.web.FilterMap;

/** Tomcat with one filter and one servlet, for all paths, on a free port. */
final class FilteredTomcat {

    private FilteredTomcat() {}

    static Tomcat start(Path directory, Filter filter, HttpServlet servlet) throws LifecycleException {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(directory.toString());
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(0);
        Context context = tomcat.addContext("", directory.toAbsolutePath().toString());
        Tomcat.addServlet(context, "servlet", servlet);
        context.addServletMappingDecoded("/*", "servlet");
        FilterDef definition = new FilterDef();
        definition.setFilterName("filter");
        definition.setFilter(filter);
        context.addFilterDef(definition);
        FilterMap everywhere = new FilterMap();
        everywhere.setFilterName("filter");
        everywhere.addURLPattern("/*");
        context.addFilterMap(everywhere);
        tomcat.getConnector();
        tomcat.start();
        return tomcat;
    }
}
