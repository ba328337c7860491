// the charts that templates/_report/page.js draws, and nothing else of the library
import * as echarts from "echarts/core";
import { BarChart, CustomChart, TreemapChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

echarts.use([BarChart, CustomChart, TreemapChart, GridComponent, TooltipComponent, SVGRenderer]);

export { init } from "echarts/core";
